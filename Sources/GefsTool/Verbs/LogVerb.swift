import ArgumentParser
import GefsControl

struct LogVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "log",
        abstract: "List the versions of a file in all snapshots of a branch, newest first.",
        usage: "gefs log IMAGE [BRANCH:]PATH",
        discussion: """
            One line a version: when it was modified, size, mode, who changed it, and the newest \
            and the oldest label that show it so. A file that is gone is found, too. Snapshots of \
            the branch count, and for a fork those of the branch that it comes from.

            Examples:
              gefs log disk.img /usr/glenda/notes
              gefs log disk.img work:/usr/glenda/notes
              gefs cat disk.img main@-2d:/usr/glenda/notes     show one of them
            """)

    @Argument(
        help: ArgumentHelp("The image, then the file.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, targets) = try image.split(operands)
        guard targets.count == 1 else { throw ValidationError("Expected one argument 'TARGET'.") }
        let target = TargetPath(targets[0])
        let words = ["log", ByteText.string(target.branchName)]
        let status = try Administration.show(
            words + ByteText.words(ofPath: target.pathBytes), on: image, console: console)
        if status != .done { throw status }
    }
}
