import ArgumentParser
import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct ScrubVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "scrub",
        abstract: "Read everything and verify its hashes, gently, while the image is served.",
        discussion: """
            Verifies superblocks, arena headers, logs, lists, tree nodes and the file data of all \
            branches and snapshots, each block once, at a bounded rate. Writers go on and \
            snapshots can be deleted meanwhile. What is damaged is named, with the files that it \
            hits in each branch and snapshot. The result is kept in the image: --status and gefs \
            info show it. gefs serve --scrub does it again and again; gefs check looks at \
            structures, too.

            Interrupting it ends it; with --detach the server goes on by itself.

            Exit status: 0 nothing is damaged, 3 findings.

            Examples:
              gefs scrub disk.img
              gefs scrub disk.img --rate 200M --detach
              gefs scrub disk.img --status
            """)

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("Bytes a second at most (default: 64M).", valueName: "rate"))
    var rate: String?

    @Flag(help: "Let the server do it, and do not wait.")
    var detach = false

    @Flag(help: "Show how it is going, or what the last one came to.")
    var status = false

    @Flag(help: "Let the one that is under way wait.")
    var pause = false

    @Flag(help: "Let the one that waits go on.")
    var resume = false

    @Flag(help: "End the one that is under way.")
    var cancel = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func validate() throws {
        guard [detach, status, pause, resume, cancel].count(where: { $0 }) <= 1 else {
            throw ValidationError(
                "Only one of --detach, --status, --pause, --resume and --cancel at a time.")
        }
        if let rate, HumanSize.parse(rate) ?? 0 == 0 {
            throw ValidationError("'\(rate)' is no rate: 500K, 100M, 1G.")
        }
    }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        if status {
            try end(try Administration.show(["scrub", "status"], on: image, console: console))
            return
        }
        let holder: ImageHolder
        do {
            holder = try ImageHolder.find(image, for: .writing, console: console)
        } catch let failure as CommandFailure where failure.status == .corrupt {
            // What cannot be opened to be written to can still be looked at.
            holder = try ImageHolder.find(image, for: .reading, console: console)
        }
        let printer = ReportPrinter(console)
        switch holder {
        case .server(let socket):
            try end(try scrub(at: socket, printer, console))
        case .volume(let fileSystem):
            guard !detach, !pause, !resume, !cancel else {
                try Administration.closing(fileSystem, image)
                throw CommandFailure(
                    ByteText.shown(image), "no server holds it",
                    next: "without --detach, scrub does it itself")
            }
            let result = try scrub(fileSystem, printer, console)
            try Administration.closing(fileSystem, image)
            try end(result)
        }
    }

    private func end(_ status: ExitStatus) throws {
        try Interruption.check()
        if status != .done { throw status }
    }

    private var rateWords: [String] { rate.map { ["--rate", $0] } ?? [] }

    private func scrub(
        _ fileSystem: FileSystem, _ printer: ReportPrinter, _ console: Console
    ) throws -> ExitStatus {
        let line = ProgressLine("scrub", .bytes, on: console)
        let rate = rate.flatMap { HumanSize.parse($0) } ?? FileSystem.scrubRateDefault
        guard fileSystem.startScrub(rate: rate) else { throw FileError.outOfThreads }
        fileSystem.waitForScrub {
            let state = fileSystem.scrubState
            line.update(state.bytesDone, of: state.bytesTotal)
            return !Interruption.isPending
        }
        if Interruption.isPending { fileSystem.cancelScrub() }
        fileSystem.waitForScrub()
        line.finish()
        return try ControlService.send(fileSystem.scrubState) { try printer.show($0) }
    }

    private func scrub(
        at socket: String, _ printer: ReportPrinter, _ console: Console
    ) throws -> ExitStatus {
        func ask(_ word: String, _ more: [String] = []) throws -> ExitStatus {
            try ControlClient.perform(["scrub", word] + more, at: socket) {
                try printer.show($0, $1)
            }
        }
        if pause { return try ask("pause") }
        if resume { return try ask("resume") }
        if cancel { return try ask("cancel") }
        if detach { return try ask("start", rateWords) }
        _ = try ControlClient.perform(["scrub", "start"] + rateWords, at: socket) { _, _ in }
        let line = ProgressLine("scrub", .bytes, on: console)
        defer { line.finish() }
        while true {
            if Interruption.isPending {
                line.finish()
                return try ask("cancel")
            }
            var report: ScrubReport?
            _ = try ControlClient.perform(["scrub", "status"], at: socket) { type, text in
                if type == ScrubReport.type {
                    report = try ReportLine.decode(ScrubReport.self, from: text)
                }
            }
            guard let report, report.isUnderWay else {
                line.finish()
                return try ask("status")
            }
            line.update(report.bytes, of: report.total)
            usleep(200_000)
        }
    }
}
