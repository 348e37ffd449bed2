import ArgumentParser
import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct ControlVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ctl",
        abstract: "Give commands to the server of an image.",
        usage: "gefs ctl SOCKET|IMAGE [COMMAND [ARGUMENT ...]]",
        discussion: """
            The server is found through its control socket, IMAGE.sock. 'gefs ctl SOCKET help' \
            lists the commands. Without one, commands are read from standard input, one a line; \
            words are split at spaces, with single quotes around what holds some. The exit status \
            is then that of the last command that failed.

            Examples:
              gefs ctl disk.img sync
              gefs ctl disk.img permit on
              gefs ctl disk.img.sock halt
              gefs ctl disk.img                   until the end of the input
            """)

    @Argument(
        parsing: .allUnrecognized,
        help: ArgumentHelp(
            "The image or its socket, then the command.", valueName: "image> <command"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, words) = try image.split(operands)
        let socket = try socket(of: image)
        if words.isEmpty { return try converse(with: socket, of: image, console) }
        let status = try run(words, at: socket, of: image, console).status
        if status != .done { throw status }
    }

    /// Runs a command.
    ///
    /// - Returns: how it ended, and whether the server has ended.
    private func run(
        _ words: [String], at socket: String, of image: String, _ console: Console
    ) throws -> (status: ExitStatus, isEnd: Bool) {
        let printer = ReportPrinter(console)
        var halted: HaltReport?
        let status = try ControlClient.perform(words, at: socket) { type, line in
            if type == HaltReport.type {
                halted = try ReportLine.decode(HaltReport.self, from: line)
            }
            try printer.show(type, line)
        }
        if let halted { waitForEnd(of: halted.image.isEmpty ? name(of: image) : halted.image) }
        return (status, halted != nil)
    }

    /// Runs the commands that standard input has, one a line, and goes on after those that fail.
    private func converse(
        with socket: String, of image: String, _ console: Console
    ) throws {
        var lines = InputLines(prompt: "gefs# ")
        var last = ExitStatus.done
        while let line = try lines.next() {
            let words = ControlWords.split(line)
            if words.isEmpty { continue }
            do {
                let (status, isEnd) = try run(words, at: socket, of: image, console)
                try console.output.flush()
                if status != .done { last = status }
                if isEnd { break }
            } catch let failure as CommandFailure where failure.status != .interrupted {
                try console.output.flush()
                Tool.report(failure, asJSON: console.isJSON)
                last = failure.status
            }
        }
        if last != .done { throw last }
    }

    /// Waits until the server has closed the image, so that it can be opened when we return.
    private func waitForEnd(of image: String) {
        let deadline = ContinuousClock.now + .seconds(120)
        while ContinuousClock.now < deadline, !Interruption.isPending {
            do throws(DeviceError) {
                try FileDevice(path: image, access: .readOnly).close()
                return
            } catch {
                // Busy is what we wait out; anything else says nothing about the server.
                guard case .busy = error else { return }
            }
            usleep(10_000)
        }
    }

    /// The image whose socket was named.
    private func name(of operand: String) -> String {
        operand.hasSuffix(".sock") ? String(operand.dropLast(5)) : operand
    }

    private func socket(of image: String) throws -> String {
        switch LocalFile.kind(of: image) {
        case .socket: return image
        case nil:
            throw CommandFailure(ByteText.shown(image), "no such image or socket", status: .noImage)
        default: break
        }
        guard let socket = ImageHolder.listening(image) else {
            throw CommandFailure(
                ByteText.shown(image), "no server holds it", next: "gefs serve starts one")
        }
        return socket
    }
}
