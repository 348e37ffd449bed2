import ArgumentParser
import GefsControl

struct SnapshotListVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List labels with their generations; those that follow writes are marked.",
        discussion: """
            Examples:
              gefs snap list disk.img
              gefs ls disk.img old:/          what label old holds
            """)

    @OptionGroup var image: ImageOperand
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        _ = try Administration.show(["snap", "list"], on: image.resolved(), console: console)
    }
}
