import ArgumentParser
import GefsControl
import GefsEngine

struct MakeDirectoryVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "mkdir",
        abstract: "Make directories.",
        usage: "gefs mkdir [-p] [-m MODE] IMAGE TARGET ...",
        discussion: """
            Examples:
              gefs mkdir disk.img /usr
              gefs mkdir -p -m 0700 disk.img /usr/glenda/lib
            """)

    @Flag(name: .shortAndLong, help: "Make missing parents; an existing directory is no error.")
    var parents = false

    @Option(name: .shortAndLong, help: "Permissions (default 0775); the parent's mode limits them.")
    var mode = "0775"

    @Argument(
        help: ArgumentHelp("The image, then the directories.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, targets) = try options.image.split(operands)
        guard !targets.isEmpty else { throw ValidationError("Missing expected argument 'TARGET'.") }
        guard let change = ModeChange(mode) else {
            throw ValidationError("'\(mode)' is no mode: octal digits, or like u+rwx,go-w.")
        }
        let wanted = change.applied(to: 0o775) | ModeBits.directory
        try ImageSession.with(image, for: .writing, options, console) { session in
            for text in targets {
                let target = TargetPath(text)
                if parents {
                    try session.makeDirectories(target, mode: wanted)
                } else {
                    try session.makeDirectory(target, mode: wanted)
                }
                console.detail("made \(target.shown)")
            }
        }
    }
}
