import ArgumentParser
import GefsControl

struct UndoVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "undo",
        abstract: "Bring files of a branch back to what they were.",
        usage: "gefs undo IMAGE BRANCH@TIME:PATH ... | BRANCH@TIME PATH ...",
        discussion: """
            Contents, mode, owner, group and time come back, of a directory everything that it \
            held, and missing directories above. What is new in a directory stays, unless \
            --delete is given. All of it happens at once.

            A file keeps its identity. A renamed one gets its name back; one that was renamed and \
            changed stays, and what it was comes back beside it. Data is copied, and counted, \
            where it is not there any more.

            The branch is what stands before the @ of BRANCH@TIME, BRANCH@LABEL or BRANCH~N; for \
            any other snapshot --into says it.

            One line a file: A added, M changed, P mode, owner, group or time, R renamed, D \
            removed.

            Examples:
              gefs undo disk.img main@-1h:/usr/glenda/lib/profile
              gefs undo disk.img main@yesterday /usr/glenda /cfg --dry-run
              gefs undo disk.img before-upgrade:/sys --into main --delete
            """)

    @Argument(
        help: ArgumentHelp(
            "The image, then the paths as they were.", valueName: "image> <state:path"),
        completion: .file())
    var operands: [String] = []

    @Option(help: ArgumentHelp("The branch that the files come back in.", valueName: "branch"))
    var into: String?

    @Flag(help: "Remove what is new in directories that come back.")
    var delete = false

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        let (state, paths) = try Self.split(rest)
        var words = ["undo", state]
        if let into { words += ["--into", into] }
        if delete { words.append("--delete") }
        if dryRun { words.append("--dry-run") }
        for path in paths { words += ByteText.words(ofPath: path) }
        let status = try Administration.show(
            words, on: image, for: dryRun ? .reading : .writing, console: console)
        if status != .done { throw status }
    }

    /// Tells the state from the paths: it stands before each of them, or before all.
    static func split(_ operands: [String]) throws -> (state: String, paths: [[UInt8]]) {
        guard let first = operands.first else {
            throw ValidationError("Missing expected argument 'BRANCH@TIME:PATH'.")
        }
        let bytes = ByteText.bytes(of: first)
        guard let colon = TargetPath.branchEnd(in: bytes) else {
            guard operands.count > 1 else {
                throw ValidationError("Missing expected argument 'PATH'.")
            }
            return (first, operands.dropFirst().map { TargetPath($0).pathBytes })
        }
        guard colon > 0 else { throw ValidationError("'\(first)' does not say which state.") }
        let state = bytes[..<colon]
        let paths = try operands.map { text -> [UInt8] in
            let target = TargetPath(text)
            guard target.branch == nil || target.branch.map({ state.elementsEqual($0) }) == true
            else { throw ValidationError("All paths come from one state.") }
            return target.pathBytes
        }
        return (ByteText.string(state), paths)
    }
}
