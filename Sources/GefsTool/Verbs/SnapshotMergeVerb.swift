import ArgumentParser
import GefsControl

struct SnapshotMergeVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Take over into a branch what a fork of it has changed.",
        usage: "gefs snap merge IMAGE FORK into BRANCH [--ours | --theirs] [--dry-run]",
        discussion: """
            Both are compared with the snapshot that they come from, file by file: a file is the \
            same as long as it has its qid, whatever its name. What both have changed in ways \
            that do not go together is a conflict. Conflicts are listed, and then nothing is \
            changed, unless --ours or --theirs says whose change counts. All is taken over at \
            once. The fork stays as it is; to go on, delete it and make a new one.

            Data cannot be shared between branches: what is taken over is copied, and counted.

            One line a file: A added, M changed, P mode, owner, group or time, R renamed, D \
            removed, C conflict.

            Exit status: 0 done, 3 conflicts and nothing changed.

            Examples:
              gefs snap merge disk.img upgrade into main --dry-run
              gefs snap merge disk.img upgrade into main --theirs
            """)

    @Argument(
        help: ArgumentHelp(
            "The image, the fork, 'into', the branch.",
            valueName: "image> <fork> <into> <branch"),
        completion: .file())
    var operands: [String] = []

    @Flag(help: "In a conflict the branch's change counts.")
    var ours = false

    @Flag(help: "In a conflict the fork's change counts.")
    var theirs = false

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        guard rest.count == 3, rest[1] == "into" else {
            throw ValidationError("Expected behind the image: FORK into BRANCH.")
        }
        guard rest[0] != rest[2] else {
            throw ValidationError("A branch is not merged into itself.")
        }
        guard !ours || !theirs else {
            throw ValidationError("--ours and --theirs exclude each other.")
        }
        var words = ["snap", "merge"] + rest
        if ours { words.append("--ours") }
        if theirs { words.append("--theirs") }
        if dryRun { words.append("--dry-run") }
        let status = try Administration.show(
            words, on: image, for: dryRun ? .reading : .writing, console: console)
        if status != .done { throw status }
    }
}
