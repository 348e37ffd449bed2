import ArgumentParser

struct SnapshotCreateVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Name the present state of a branch: a snapshot.",
        usage: "gefs snap create IMAGE FROM NAME",
        discussion: """
            It contains exactly what was acknowledged before. FROM is a branch, a snapshot, or a \
            branch at a time.

            Examples:
              gefs snap create disk.img main before-upgrade
              gefs snap create disk.img main@-15m keep-this
            """)

    @Argument(
        help: ArgumentHelp("The image, what is named, its name.", valueName: "image> <from> <name"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, names) = try image.split(operands)
        guard names.count == 2 else {
            throw ValidationError("Expected two arguments behind the image: FROM NAME.")
        }
        _ = try Administration.show(
            ["snap", "create"] + names, on: image, for: .writing, console: console)
    }
}
