import ArgumentParser
import GefsControl
import GefsEngine
import GefsFormat

struct CheckVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Verify everything: structures, hashes, file data, and who owns each block.",
        discussion: """
            Changes nothing but with --repair, which puts right what the original, or a crash of \
            it, leaves behind without harm to files: snapshots without a label, wrong counts, \
            leaked blocks. An image that is being served is checked by its server, which goes \
            on. Blocks that nothing refers to (leaks) are a warning; --strict counts warnings as \
            findings, too.

            Exit status: 0 clean, 3 findings, 4 not a gefs.

            Examples:
              gefs check disk.img
              gefs check --strict --json disk.img
              gefs check --repair disk.img
            """)

    @OptionGroup var image: ImageOperand

    @Flag(help: "Count warnings as findings.")
    var strict = false

    @Flag(help: "Reclaim leaked blocks and put wrong counts right, then check.")
    var repair = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        let printer = ReportPrinter(console)
        if repair {
            let words = ["check", "--repair"] + (strict ? ["--strict"] : [])
            let status = try Administration.perform(
                words, on: image, for: .writing, console: console
            ) { try printer.show($0, $1) }
            if status != .done { throw status }
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

    /// Whether one of the superblocks has the magic: the others may be what the check is to find.
    private static func looksLikeVolume(_ device: FileDevice) throws -> Bool {
        let magic = Array("gefs9.".utf8)
        let blockBytes = UInt64(Geometry.blockBytes)
        let blocks = device.byteCount / blockBytes
        guard blocks > 1 else { return false }
        for offset in [0, (blocks - 1) * blockBytes] {
            var start = [UInt8](repeating: 0, count: magic.count)
            do {
                try start.withUnsafeMutableBytes { try device.read(at: offset, into: $0) }
            } catch {
                continue
            }
            if start == magic { return true }
        }
        return false
    }
}
