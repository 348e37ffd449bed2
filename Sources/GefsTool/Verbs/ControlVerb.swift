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
        abstract: "Give a command to the server of an image.",
        usage: "gefs ctl SOCKET|IMAGE COMMAND [ARGUMENT ...]",
        discussion: """
            The server is found through its control socket, IMAGE.sock. 'gefs ctl SOCKET help' \
            lists the commands.

            Examples:
              gefs ctl disk.img sync
              gefs ctl disk.img permit on
              gefs ctl disk.img.sock halt
            """)

    @Argument(
        help: ArgumentHelp(
            "The image or its socket, then the command.", valueName: "image> <command"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, words) = try image.split(operands)
        guard !words.isEmpty else { throw ValidationError("Missing expected argument 'COMMAND'.") }
        let socket = try socket(of: image)
        let printer = ReportPrinter(console)
        var halted: HaltReport?
        let status = try ControlClient.perform(words, at: socket) { type, line in
            if type == HaltReport.type {
                halted = try ReportLine.decode(HaltReport.self, from: line)
            }
            try printer.show(type, line)
        }
        if let halted { waitForEnd(of: halted.image.isEmpty ? name(of: image) : halted.image) }
        if status != .done { throw status }
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
