import ArgumentParser
import GefsControl
import GefsEngine

struct GrowVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "grow",
        abstract: "Use all of a file or disk that became longer.",
        discussion: """
            The image must not be served meanwhile. With --size a file is made longer first. At \
            least 64 MiB have to be added.

            Examples:
              gefs grow disk.img --size 20G
              gefs grow /dev/mapper/vg-gefs
            """)

    @OptionGroup var image: ImageOperand

    @Option(
        help: ArgumentHelp(
            "New size of the file: 20G, or +5G for that much more.", valueName: "size"))
    var size: String?

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        let device = try ImageHolder.device(image, for: dryRun ? .reading : .writing)
        defer { device.close() }
        guard LocalFile.hasMagic(image) || !isFile(image) else {
            throw CommandFailure(
                ByteText.shown(image), "not a gefs", next: "gefs ream makes a file system",
                status: .noImage)
        }
        let before = device.byteCount
        let wanted = try wantedBytes(before)
        if dryRun {
            try console.line(
                "would grow \(image) from \(HumanSize.text(before)) to \(HumanSize.text(wanted))")
            return
        }
        do {
            if wanted > before { try device.extend(to: wanted) }
        } catch {
            throw CommandFailure(ByteText.shown(image), error)
        }
        let grown: Grow.Report
        do {
            grown = try Grow.run(device: device)
        } catch {
            throw failure(image, error)
        }
        try console.result(
            GrowReport(
                image: image, size: device.byteCount, added: grown.addedBytes,
                arenasBefore: grown.arenaCountBefore, arenas: grown.arenaCount)
        ) {
            console.note(
                "\(ByteText.shown(image)): \(HumanSize.text(grown.addedBytes)) more, "
                    + "\(grown.arenaCount) arenas")
        }
    }

    private func isFile(_ image: String) -> Bool {
        LocalFile.kind(of: image) == .file
    }

    private func wantedBytes(_ before: UInt64) throws -> UInt64 {
        guard let size else { return before }
        let isRelative = size.first == "+"
        guard let bytes = HumanSize.parse(isRelative ? String(size.dropFirst()) : size) else {
            throw ValidationError("'\(size)' is no size: 20G, or +5G.")
        }
        let (sum, overflow) = before.addingReportingOverflow(bytes)
        let wanted = isRelative ? sum : bytes
        guard !overflow || !isRelative, wanted >= before else {
            throw CommandFailure(
                "grow", "a file system cannot become shorter: it has \(HumanSize.text(before))",
                status: .usage)
        }
        return wanted
    }

    private func failure(_ image: String, _ error: GrowError) -> CommandFailure {
        switch error {
        case .device(let device): CommandFailure(ByteText.shown(image), device)
        case .notEnoughSpace:
            CommandFailure(
                ByteText.shown(image), error.description,
                next: "make the file or disk longer first: gefs grow --size +1G", status: .noSpace)
        case .superblock(.corrupt(let block)): CommandFailure(ByteText.shown(image), block)
        case .superblock, .arena:
            CommandFailure(ByteText.shown(image), error.description, status: .corrupt)
        case .tooManyArenas: CommandFailure(ByteText.shown(image), error.description)
        }
    }
}

/// What `grow --json` prints.
struct GrowReport: Report {
    static var type: String { "grow" }
    var image: String
    var size: UInt64
    var added: UInt64
    var arenasBefore: Int
    var arenas: Int
}
