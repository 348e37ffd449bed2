import ArgumentParser

struct SnapshotForkVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "fork", abstract: "Make a branch that begins as another one is now.",
        usage: "gefs snap fork IMAGE FROM NAME",
        discussion: """
            FROM is a branch, a snapshot, or a branch at a time. The two share what neither of them \
            changes.

            Examples:
              gefs snap fork disk.img main experiment
              gefs snap fork disk.img main@2026-11-22T10:00 yesterday
            """)

    @Argument(
        help: ArgumentHelp(
            "The image, what it begins as, its name.", valueName: "image> <from> <name"),
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
            ["snap", "fork"] + names, on: image, for: .writing, console: console)
    }
}
