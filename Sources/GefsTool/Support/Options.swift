import ArgumentParser
import GefsControl

/// Options of every verb.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON, one object a line, each with \"type\".")
    var json = false

    @Flag(help: "Print sizes as plain numbers of bytes.")
    var bytes = false

    @Flag(name: .shortAndLong, help: "Print no remarks and no progress.")
    var quiet = false

    @Flag(name: .shortAndLong, help: "Say more about what is done.")
    var verbose = false

    func console() -> Console {
        Console(isJSON: json, showsBytes: bytes, isQuiet: quiet, isVerbose: verbose)
    }
}

/// The image of a verb that takes no other operand.
struct ImageOperand: ParsableArguments {
    @Argument(
        help: "The image, or the socket of its server; $GEFS_IMAGE stands in for it.",
        completion: .file())
    var image: String?

    /// - Throws: a usage error where nothing names an image.
    func resolved() throws -> String {
        try ImageChoice.resolve(image)
    }
}

/// The image of a verb that has other operands behind it.
struct ImageOptions: ParsableArguments {
    @Option(
        name: .customLong("image"),
        help: ArgumentHelp(
            "The image or socket, in place of the first operand.", valueName: "image"),
        completion: .file())
    var chosen: String?

    /// Tells the image from the operands that follow it.
    func split(_ operands: [String]) throws -> (image: String, rest: [String]) {
        if let chosen { return (chosen, operands) }
        return try ImageChoice.split(operands)
    }
}

/// Options of verbs that work on files.
struct SessionOptions: ParsableArguments {
    @OptionGroup var image: ImageOptions

    @Option(
        help: ArgumentHelp(
            "Act as this user of the file system (default: your login name, else adm).",
            valueName: "name"))
    var user: String?

    @OptionGroup var output: OutputOptions
}

/// Which operand is the image. Source: CLI.md, "Verbs".
enum ImageChoice {
    static func resolve(_ operand: String?) throws -> String {
        if let operand { return operand }
        if let image = fromEnvironment { return image }
        throw ValidationError("Missing expected argument 'IMAGE', and GEFS_IMAGE is not set.")
    }

    /// With `$GEFS_IMAGE` set all operands are targets, unless the first one is itself an image,
    /// a disk or a socket on this machine.
    static func split(_ operands: [String]) throws -> (image: String, rest: [String]) {
        guard let image = fromEnvironment else {
            guard let first = operands.first else {
                throw ValidationError(
                    "Missing expected argument 'IMAGE', and GEFS_IMAGE is not set.")
            }
            return (first, Array(operands.dropFirst()))
        }
        if let first = operands.first, LocalFile.looksLikeImage(first) {
            return (first, Array(operands.dropFirst()))
        }
        return (image, operands)
    }

    private static var fromEnvironment: String? {
        guard let image = Environment["GEFS_IMAGE"], !image.isEmpty else { return nil }
        return image
    }
}
