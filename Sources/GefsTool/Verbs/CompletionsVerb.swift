import ArgumentParser
import GefsControl

struct CompletionsVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "completions",
        abstract: "Print completions for a shell.",
        discussion: """
            Examples:
              gefs completions bash > /etc/bash_completion.d/gefs
              gefs completions zsh > ~/.zfunc/_gefs
              gefs completions fish > ~/.config/fish/completions/gefs.fish
            """)

    enum Shell: String, CaseIterable, ExpressibleByArgument {
        case bash
        case zsh
        case fish
    }

    @Argument(help: "bash, zsh or fish.")
    var shell: Shell

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let script =
            switch shell {
            case .bash: Gefs.completionScript(for: .bash)
            case .zsh: Gefs.completionScript(for: .zsh)
            case .fish: Gefs.completionScript(for: .fish)
            }
        try console.line(script)
    }
}
