import ArgumentParser

struct SnapshotRenameVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Give a branch or snapshot another name.",
        usage: "gefs snap rename IMAGE OLD NEW",
        discussion: """
            Clients that are attached go on.

            Example:
              gefs snap rename disk.img experiment feature
            """)

    @Argument(
        help: ArgumentHelp("The image, both names.", valueName: "image> <old> <new"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, names) = try image.split(operands)
        guard names.count == 2 else {
            throw ValidationError("Expected two arguments behind the image: OLD NEW.")
        }
        _ = try Administration.show(
            ["snap", "rename"] + names, on: image, for: .writing, console: console)
    }
}
