import ArgumentParser
import GefsControl

struct SnapshotRollbackVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rollback", abstract: "Let a branch go back to a snapshot.",
        usage: "gefs snap rollback IMAGE BRANCH TO [--keep NAME | --discard]",
        discussion: """
            Clients that are attached see the old tree at once. What the branch was before is \
            kept as a snapshot, BRANCH@before-rollback and the time unless --keep says otherwise, \
            so that this can be undone; --discard keeps nothing.

            Examples:
              gefs snap rollback disk.img main before-upgrade
              gefs snap rollback disk.img main main@-1h --keep broken
            """)

    @Argument(
        help: ArgumentHelp(
            "The image, the branch, where it goes.", valueName: "image> <branch> <to"),
        completion: .file())
    var operands: [String] = []

    @Option(help: ArgumentHelp("The label that keeps what the branch was.", valueName: "name"))
    var keep: String?

    @Flag(help: "Keep nothing of what the branch was.")
    var discard = false

    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, names) = try image.split(operands)
        guard names.count == 2 else {
            throw ValidationError("Expected two arguments behind the image: BRANCH TO.")
        }
        guard keep == nil || !discard else {
            throw ValidationError("--keep and --discard exclude each other.")
        }
        let (branch, target) = (ByteText.shown(names[0]), ByteText.shown(names[1]))
        if discard || confirmation.dryRun {
            let plan =
                "let \(branch) go back to \(target)"
                + (discard ? ", and discard what it is now" : ", and keep what it is now")
            guard try confirmation.confirm(plan, verb: "snap", on: console) else { return }
        }
        let choice = discard ? ["--discard"] : keep.map { ["--keep", $0] } ?? []
        _ = try Administration.show(
            ["snap", "rollback"] + names + choice, on: image, for: .writing, console: console)
    }
}
