import ArgumentParser
import GefsControl

struct SnapshotDiffVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "List the files that two branches, snapshots or times do not have alike.",
        usage: "gefs snap diff IMAGE A B [PATH]",
        discussion: """
            One line a file: A added, D removed, M changed (contents, mode, owner, group or time), \
            R renamed, RM renamed and changed. A renamed directory is one line; what is in it is \
            listed only where it changed itself. -v says what has changed.

            What both share is not read, so it takes as long as there are differences.

            Exit status: 0 no difference, 1 differences, 2 failed.

            Examples:
              gefs snap diff disk.img before-upgrade main
              gefs snap diff disk.img main@-1h main /usr/glenda
              gefs snap diff disk.img main@yesterday main --stat
            """)

    @Argument(
        help: ArgumentHelp(
            "The image, the older state, the newer one, and a path to look below.",
            valueName: "image> <a> <b> <path"),
        completion: .file())
    var operands: [String] = []

    @Flag(help: "Print totals only.")
    var stat = false

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        guard (2...3).contains(rest.count) else {
            throw ValidationError("Expected two or three arguments behind the image: A B [PATH].")
        }
        var words = ["snap", "diff", rest[0], rest[1]]
        if rest.count == 3 { words += ByteText.words(ofPath: ByteText.bytes(of: rest[2])) }
        if stat { words.append("--stat") }
        let status: ExitStatus
        do {
            status = try Administration.show(words, on: image, console: console)
        } catch var failure as CommandFailure where failure.status != .interrupted {
            failure.status = .usage
            throw failure
        }
        if status != .done { throw status }
    }
}

extension ByteText {
    /// A path as the words of a command: in hexadecimal where it is no UTF-8.
    static func words(ofPath bytes: [UInt8]) -> [String] {
        isText(bytes) ? [string(bytes)] : ["--hex", hexadecimal(bytes)]
    }
}
