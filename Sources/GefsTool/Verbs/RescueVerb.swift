import ArgumentParser
import GefsControl
import GefsEngine

struct RescueVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rescue",
        abstract: "Copy out what is whole of a disk that cannot be opened.",
        usage:
            "gefs rescue IMAGE OUT [--label NAME ...] [--force]\n       gefs rescue IMAGE --list",
        discussion: """
            Superblocks, logs and roots may be gone: all blocks are read, and hashes tell which \
            of them belong together. IMAGE is only read; it may be cut, have holes and bad \
            sectors, and begin anywhere in a larger one.

            OUT is a new folder. It gets a folder for each branch, or for the labels that are \
            named, and RESCUE.json, which says of each file whether it is whole, which ranges \
            are missing, and who owned it. Every byte that comes out was verified. What is \
            missing of a file is a hole. What a tree has lost is taken from older states and \
            called so. Files whose directory is not known go to lost+found.

            Exit status: 0 all is whole, 3 something is missing, 4 nothing was found.

            Examples:
              gefs rescue /dev/sdb1 --list
              gefs rescue /dev/sdb1 ./rescued
              gefs rescue disk.img ./rescued --label main --unverified
            """)

    @Argument(help: "The image or disk.", completion: .file())
    var image: String

    @Argument(help: "The folder to copy to.", completion: .directory)
    var out: String?

    @Option(
        name: .customLong("label"),
        help: ArgumentHelp("Copy this label; may be repeated.", valueName: "name"))
    var labels: [String] = []

    @Flag(help: "Copy snapshots, too, not only branches.")
    var all = false

    @Flag(help: "List what can be copied, and copy nothing.")
    var list = false

    @Flag(help: "Add to a folder that is not empty.")
    var force = false

    @Flag(help: "Also use leaves that nothing vouches for.")
    var unverified = false

    @Option(
        help: ArgumentHelp("Where in IMAGE the file system begins.", valueName: "bytes"))
    var offset: UInt64?

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func validate() throws {
        guard list || out != nil else {
            throw ValidationError("Missing expected argument 'OUT'; --list copies nothing.")
        }
        guard !list || out == nil else { throw ValidationError("--list copies nothing.") }
    }

    func perform(on console: Console) throws {
        let device = try ImageHolder.device(image, for: .reading)
        defer { device.close() }
        let line = ProgressLine("rescue", .bytes, on: console)
        defer { line.finish() }
        do {
            let rescue = try scan(device, line)
            line.finish()
            if list { return try show(rescue, console) }
            try copy(rescue, device, console, line)
        } catch let error as RescueError {
            throw failure(error)
        }
    }

    private func scan(_ device: FileDevice, _ line: ProgressLine) throws -> Rescue {
        var settings = Rescue.Options()
        settings.offset = offset
        settings.usesUnverified = unverified
        return try Rescue(device, options: settings) { state in
            line.update(state.bytesDone, of: state.bytesTotal)
            return !Interruption.isPending
        }
    }

    private func failure(_ error: RescueError) -> any Error {
        switch error {
        case .stopped: CommandFailure("", "interrupted", status: .interrupted)
        case .nothingFound:
            CommandFailure(ByteText.shown(image), error.description, status: .noImage)
        case .refused(let why): CommandFailure("rescue", why)
        case .failed(let what, let why, let isFull):
            CommandFailure(what, why, status: isFull ? .noSpace : .failed)
        }
    }

    // MARK: What there is

    private func show(_ rescue: Rescue, _ console: Console) throws {
        if console.isJSON {
            try console.object(RescueScanLine(ByteText.shown(image), rescue.report))
            for tree in rescue.trees { try console.object(RescuableTreeLine(tree)) }
            return
        }
        try describe(rescue.report, console)
        var table = TextTable([.left, .left, .left, .left, .right])
        table.append(["LABEL", "KIND", "FOUND BY", "ROOT", "OLDER STATES"])
        for tree in rescue.trees {
            table.append([
                ByteText.shown(tree.name), tree.isMutable ? "branch" : "snapshot",
                Self.text(tree.origin), tree.hasRoot ? "there" : "missing",
                String(tree.olderLayers),
            ])
        }
        try console.table(table)
    }

    private static func text(_ origin: RescuableTree.Origin) -> String {
        switch origin {
        case .superblock: "superblock"
        case .snapshotTree: "snapshot tree"
        case .scan: "scan, no label"
        }
    }

    private func describe(_ report: RescueScanReport, _ console: Console) throws {
        try console.line(
            "\(console.size(report.bytesRead)) of \(console.size(report.deviceBytes)) read, "
                + "\(report.superblocks) superblocks, \(report.nodes) tree nodes, "
                + "\(report.believedNodes) of them verified")
        if report.offset != 0 { try console.line("the volume begins at byte \(report.offset)") }
        if !report.unreadable.isEmpty {
            let bytes = report.unreadable.reduce(UInt64(0)) { $0 + UInt64($1.count) }
            try console.line(
                "\(console.size(bytes)) in \(report.unreadable.count) places cannot be read")
        }
        if report.unverifiedLeaves > 0, !unverified {
            try console.line(
                "\(report.unverifiedLeaves) leaves that nothing vouches for are left out; "
                    + "--unverified uses them")
        }
    }

    // MARK: The copy

    private func copy(
        _ rescue: Rescue, _ device: FileDevice, _ console: Console, _ line: ProgressLine
    ) throws {
        guard let out else { return }
        let chosen = try choose(rescue.trees)
        let folder = try RescueFolder(out, isForced: force)
        let users = rescue.users()
        let scan = RescueScanLine(ByteText.shown(image), rescue.report)
        try folder.add(scan)
        if console.isJSON {
            try console.object(scan)
        } else {
            try describe(rescue.report, console)
        }
        var isWhole = rescue.report.unreadable.isEmpty && !chosen.isEmpty
        for tree in chosen {
            let (sink, name) = try folder.makeTree(tree.name)
            let log = FileLog(folder, name, users, console)
            let report = try rescue.copy(tree.name, to: sink) {
                (file) throws(RescueError) in try log.add(file)
            }
            line.finish()
            guard let report else { continue }
            isWhole = isWhole && report.isWhole && tree.hasRoot && tree.origin == .superblock
            let result = RescuedTreeLine(report, folder: ByteText.shown(name))
            try folder.add(result)
            try console.result(result) { try describe(report, log, console) }
        }
        try folder.finish()
        if !isWhole { throw ExitStatus.findings }
    }

    private func choose(_ trees: [RescuableTree]) throws -> [RescuableTree] {
        guard !labels.isEmpty else { return trees.filter { all || $0.isMutable } }
        return try labels.map { label in
            let bytes = ByteText.bytes(of: label)
            guard let tree = trees.first(where: { $0.name == bytes }) else {
                throw CommandFailure(
                    ByteText.shown(bytes), "no such label found",
                    next: "gefs rescue --list shows what can be copied")
            }
            return tree
        }
    }

    private func describe(
        _ report: RescuedTreeReport, _ log: FileLog, _ console: Console
    ) throws {
        try console.line(
            "\(ByteText.shown(report.name)): \(report.wholeFiles) of \(report.files) files whole, "
                + "\(report.directories) directories, \(console.size(report.bytes))")
        func note(_ count: Int, _ what: String) throws {
            if count > 0 { try console.line("  \(count) \(what)") }
        }
        let missing = console.size(report.missingBytes)
        try note(report.partialFiles, "files are partial, \(missing) missing (holes)")
        try note(report.failedFiles, "files could not be written")
        try note(report.olderFiles, "files come from older states")
        try note(report.unverifiedFiles, "files come from leaves that nothing vouches for")
        try note(report.lostFiles, "in lost+found, since their directory is not known")
        try note(report.renamedFiles, "got another name, since theirs cannot be used here")
        try note(report.unknownNameRanges, "gaps among the names: files may be missing there")
        for text in log.shown { try console.line("  \(text)") }
        if log.hidden > 0 { try console.line("  and \(log.hidden) more, see RESCUE.json") }
    }
}

/// Writes down each file, and keeps some of those that a person should look at.
private final class FileLog {
    private static let shownMax = 20

    private let folder: RescueFolder
    private let name: [UInt8]
    private let users: UserTable?
    private let console: Console
    private(set) var shown: [String] = []
    private(set) var hidden = 0

    init(_ folder: RescueFolder, _ name: [UInt8], _ users: UserTable?, _ console: Console) {
        self.folder = folder
        self.name = name
        self.users = users
        self.console = console
    }

    func add(_ file: RescuedFile) throws(RescueError) {
        let line = RescuedFileLine(file, folder: name, users: users)
        do {
            try folder.add(line)
        } catch {
            throw .failed(what: folder.path, why: "cannot write RESCUE.json", isFull: false)
        }
        let problem: String
        switch file.state {
        case .whole: return
        case .partial: problem = "\(console.size(file.missingBytes)) missing"
        case .failed: problem = file.problem ?? "not written"
        }
        if shown.count < Self.shownMax || console.isVerbose {
            shown.append("\(line.path): \(problem)")
        } else {
            hidden += 1
        }
    }
}
