import ArgumentParser
import GefsControl

struct ChangeModeVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "chmod",
        abstract: "Change modes.",
        usage: "gefs chmod [-R] IMAGE MODE TARGET ...",
        discussion: """
            MODE is octal, or letters: who (u, g, o, a), one of + - =, and rights (r, w, x) or \
            properties (a append only, l exclusive use, t temporary). Where MODE begins with a \
            dash, write -- before the operands.

            Examples:
              gefs chmod disk.img 0640 /lib/words
              gefs chmod -R disk.img go-w,u+x /bin
              gefs chmod disk.img +a /log
            """)

    @Flag(name: [.customShort("R"), .long], help: "Change everything below directories, too.")
    var recursive = false

    @Argument(
        help: ArgumentHelp("The image, the mode, the files.", valueName: "image> <mode> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        guard rest.count >= 2, let text = rest.first else {
            throw ValidationError("Missing expected arguments 'MODE TARGET'.")
        }
        guard let change = ModeChange(text) else {
            throw ValidationError(
                "'\(text)' is no mode: octal digits up to 0777, or like u+rwx,go-w.")
        }
        try ImageSession.with(image, for: .writing, options, console) { session in
            for text in rest.dropFirst() {
                try session.visit(TargetPath(text), recursively: recursive) { target, entry in
                    let mode = change.applied(to: entry.mode)
                    guard mode != entry.mode else { return }
                    try session.change(target, FileChange(mode: mode))
                    console.detail("\(ModeText.letters(mode)) \(target.shown)")
                }
            }
        }
    }
}
