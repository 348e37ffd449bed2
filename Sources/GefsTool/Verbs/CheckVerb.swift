import ArgumentParser
import GefsControl
import GefsEngine
import GefsFormat

struct CheckVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Verify everything: structures, hashes, file data, and who owns each block.",
        discussion: """
            Changes nothing but with --repair. Then an image that nobody serves is mended as far \
            as that takes no guesses: copies, allocation logs, deadlists, counts and leaks are \
            made right from the trees; trees are rewritten without what cannot be read; files \
            that no directory leads to go into lost+found of a new label, repair@TIME. What is \
            done and what is lost is told, and with --dry-run only told. Nothing is written \
            unless all of it comes out clean, and an interrupted repair can be repeated. A server \
            does what can be done while it serves: leaks, counts, snapshots without a label.

            An image that is being served is checked by its server, which goes on. Blocks that \
            nothing refers to (leaks) are a warning; --strict counts warnings as findings, too.

            Exit status: 0 clean or repaired, 3 findings, 4 not a gefs.

            Examples:
              gefs check disk.img
              gefs check --strict --json disk.img
              gefs check --repair --dry-run disk.img
              gefs check --repair disk.img
            """)

    @OptionGroup var image: ImageOperand

    @Flag(help: "Count warnings as findings.")
    var strict = false

    @Flag(help: "Put right what is wrong, then check.")
    var repair = false

    @Flag(help: "With --repair: only say what would be done.")
    var dryRun = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        let printer = ReportPrinter(console)
        if repair {
            try performRepair(image, printer, console)
            return
        }
        let status: ExitStatus
        let isSocket = LocalFile.kind(of: image) == .socket
        do {
            if isSocket { throw ImageHolder.busy(image) }
            // The lock decides, as for other verbs; but the volume is not opened, since a check is
            // for those that cannot be.
            let device = try ImageHolder.device(image, for: .reading)
            defer { device.close() }
            let report = try Self.check(device, image, console)
            status = try report.send(isStrict: strict) { try printer.show($0) }
        } catch let failure as CommandFailure where failure.status == .busy {
            guard let socket = isSocket ? image : ImageHolder.listening(image) else {
                throw ImageHolder.busy(image)
            }
            status = try ControlClient.perform(
                strict ? ["check", "--strict"] : ["check"], at: socket
            ) { try printer.show($0, $1) }
        }
        try Interruption.check()
        if status != .done { throw status }
    }

    func validate() throws {
        if dryRun && !repair { throw ValidationError("--dry-run goes with --repair") }
    }

    private func performRepair(
        _ image: String, _ printer: ReportPrinter, _ console: Console
    ) throws {
        do {
            if LocalFile.kind(of: image) == .socket { throw ImageHolder.busy(image) }
            let device = try ImageHolder.device(image, for: dryRun ? .reading : .writing)
            defer { device.close() }
            let status = try repair(device, image, printer, console)
            try Interruption.check()
            if status != .done { throw status }
        } catch let failure as CommandFailure where failure.status == .busy {
            guard !dryRun else {
                throw CommandFailure(
                    ByteText.shown(image), "is being served; a dry run needs the image for itself",
                    next: "end the server, or do without --dry-run", status: .busy)
            }
            let words = ["check", "--repair"] + (strict ? ["--strict"] : [])
            let status = try Administration.perform(
                words, on: image, for: .writing, console: console
            ) { try printer.show($0, $1) }
            if status == .findings {
                console.note("what remains needs the image for itself: end the server, then repair")
            }
            if status != .done { throw status }
        }
    }

    private func repair(
        _ device: FileDevice, _ image: String, _ printer: ReportPrinter, _ console: Console
    ) throws -> ExitStatus {
        guard try Self.looksLikeVolume(device) else {
            throw CommandFailure(
                ByteText.shown(image), "not a gefs", next: "gefs ream makes a file system",
                status: .noImage)
        }
        let line = ProgressLine("plan", .bytes, on: console)
        let plan = DeviceRepair.plan(device) { progress in
            line.update(progress.bytesDone, of: progress.bytesTotal)
            return !Interruption.isPending
        }
        line.finish()
        try Interruption.check()
        for note in plan.notes { try printer.show(RepairNoteReport(note)) }
        if plan.isComplete, !plan.isNothing, !dryRun {
            do {
                try plan.apply(to: device)
            } catch {
                throw CommandFailure(ByteText.shown(image), error)
            }
        }
        try printer.show(DeviceRepairReport(plan, isDryRun: dryRun))
        if dryRun {
            return plan.isComplete ? .done : .findings
        }
        let report =
            plan.isNothing ? plan.before : try Self.check(device, image, console)
        return try report.send(isStrict: strict) { try printer.show($0) }
    }

    private static func check(
        _ device: FileDevice, _ image: String, _ console: Console
    ) throws -> CheckReport {
        guard try looksLikeVolume(device) else {
            throw CommandFailure(
                ByteText.shown(image), "not a gefs", next: "gefs ream makes a file system",
                status: .noImage)
        }
        let line = ProgressLine("check", .bytes, on: console)
        defer { line.finish() }
        return Checker.check(device) { progress in
            line.update(progress.bytesDone, of: progress.bytesTotal)
            return !Interruption.isPending
        }
    }

    /// Whether one of the superblocks has the magic, or there are arenas: the rest may be what the
    /// check is to find.
    private static func looksLikeVolume(_ device: FileDevice) throws -> Bool {
        let blockBytes = UInt64(Geometry.blockBytes)
        let blocks = device.byteCount / blockBytes
        guard blocks > 1 else { return false }
        for offset in [0, (blocks - 1) * blockBytes] {
            var start = [UInt8](repeating: 0, count: Superblock.beginningBytes)
            do {
                try start.withUnsafeMutableBytes { try device.read(at: offset, into: $0) }
            } catch {
                continue
            }
            if Superblock.looksLikeOne(start) { return true }
        }
        return DeviceRepair.hasArenas(device)
    }
}
