import ArgumentParser
import GefsControl
import GefsEngine

struct DebugVerbs: VerbGroup {
    static let configuration = CommandConfiguration(
        commandName: "debug",
        abstract: "Look at the structures of a disk.",
        discussion: """
            Shows what lies on the disk, damaged or not. The disk format is described in \
            Docs/FORMAT.md.
            """,
        subcommands: [
            DebugSuperblockVerb.self, DebugArenaVerb.self, DebugLogVerb.self,
            DebugBlockVerb.self, DebugTreeVerb.self,
        ])

    /// Shows structures of an image, or through its server those of the one that it serves.
    static func show(_ words: [String], of image: String, _ console: Console) throws {
        let printer = ReportPrinter(console)
        let isSocket = LocalFile.kind(of: image) == .socket
        do {
            if isSocket { throw ImageHolder.busy(image) }
            let device = try ImageHolder.device(image, for: .reading)
            defer { device.close() }
            try DiskDump(device, image: image).perform(words) { try printer.show($0) }
        } catch let failure as CommandFailure where failure.status == .busy {
            guard let socket = isSocket ? image : ImageHolder.listening(image) else {
                throw ImageHolder.busy(image)
            }
            _ = try ControlClient.perform(["debug"] + words, at: socket) {
                try printer.show($0, $1)
            }
        }
    }
}

struct DebugSuperblockVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "superblock", abstract: "Show the superblock in use.")

    @OptionGroup var image: ImageOperand
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        try DebugVerbs.show(["superblock"], of: image.resolved(), console)
    }
}

struct DebugArenaVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "arena", abstract: "Show an arena, or all of them.",
        usage: "gefs debug arena IMAGE [N]")

    @Argument(
        help: ArgumentHelp("The image, then the arena.", valueName: "image> <n"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        try DebugVerbs.show(["arena"] + rest, of: image, console)
    }
}

struct DebugLogVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show the allocation log of an arena, or of all.",
        usage: "gefs debug log IMAGE [N]")

    @Argument(
        help: ArgumentHelp("The image, then the arena.", valueName: "image> <n"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        try DebugVerbs.show(["log"] + rest, of: image, console)
    }
}

struct DebugBlockVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "block", abstract: "Show a block, whatever it is.",
        usage: "gefs debug block IMAGE ADDRESS",
        discussion: """
            The address is decimal, or hexadecimal with 0x in front.

            Example:
              gefs debug block disk.img 0x7f4000
            """)

    @Argument(
        help: ArgumentHelp("The image, then the address.", valueName: "image> <address"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        guard rest.count == 1 else { throw ValidationError("Expected one argument 'ADDRESS'.") }
        try DebugVerbs.show(["block"] + rest, of: image, console)
    }
}

struct DebugTreeVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "tree", abstract: "Show the nodes of a tree: of a label, or of all snapshots.",
        usage: "gefs debug tree IMAGE [LABEL [DEPTH]]",
        discussion: """
            Without a label the snapshot tree is shown. DEPTH limits the levels. What a node \
            holds is shown by gefs debug block.

            Examples:
              gefs debug tree disk.img
              gefs debug tree disk.img main 2
            """)

    @Argument(
        help: ArgumentHelp("The image, the label, the levels.", valueName: "image> <label> <depth"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try image.split(operands)
        guard rest.count <= 2 else { throw ValidationError("Expected at most 'LABEL DEPTH'.") }
        try DebugVerbs.show(["tree"] + rest, of: image, console)
    }
}
