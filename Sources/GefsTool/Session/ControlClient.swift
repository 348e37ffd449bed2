import GefsClient
import GefsControl
import NineP

/// Commands to the server of an image, through its control file. Source: Docs/PROTOCOL.md, 2.
enum ControlClient {
    /// Connects to a control socket, runs a command and hands out each report of the answer.
    ///
    /// - Parameter reply: gets the type of each report, and its line.
    /// - Returns: how the command ended.
    /// - Throws: `CommandFailure` where the command failed, or nobody answers.
    static func perform(
        _ words: [String], at socket: String, reply: (String, [UInt8]) throws -> Void
    ) throws -> ExitStatus {
        let client: Client
        do throws(ClientError) {
            client = try Client(dialing: "unix:" + socket)
        } catch {
            throw CommandFailure(
                ByteText.shown(socket), "no server answers here", next: "gefs serve starts one",
                status: .noImage)
        }
        defer { client.close() }
        return try perform(words, over: client, reply: reply)
    }

    /// Runs a command over a connection to a control socket.
    static func perform(
        _ words: [String], over client: Client, reply: (String, [UInt8]) throws -> Void
    ) throws -> ExitStatus {
        var answer = AnswerReader()
        do throws(ClientError) {
            let root = try client.attach(user: "adm", tree: ".ctl")
            defer { try? root.clunk() }
            let file = try root.walk("ctl")
            defer { try? file.clunk() }
            try file.open(OpenFlags.readWrite)
            let request = (try? ReportLine.encode(ControlRequest(words))) ?? []
            // A command is one write, and so one message.
            guard request.count + 1 + WireLimits.ioHeaderBytes <= client.messageBytesMax else {
                throw .tooLarge
            }
            try file.write(request + [UInt8(ascii: "\n")], at: 0)
            try file.read(from: 0, count: .max) { (piece) throws(ClientError) in
                answer.take(piece, reply)
            }
        } catch .connectionClosed where words == ["halt"] {
            // A server that was halted may be gone before its answer is read; that the command was
            // taken says that it is carried out.
            if !answer.hasReport {
                let halt = HaltReport(image: "", process: 0)
                try reply(HaltReport.type, try ReportLine.encode(halt))
            }
            return .done
        } catch {
            let refusal = RemoteRefusal(error)
            if case .unknownTree = refusal.kind {
                throw CommandFailure(
                    words.joined(separator: " "), "this socket takes no commands",
                    next: "use the control socket, IMAGE.sock")
            }
            throw refusal.failure(about: words.joined(separator: " "))
        }
        return try answer.finish(reply)
    }
}

/// Takes the answer to a command apart while it comes: one JSON object a line.
private struct AnswerReader {
    /// The begin of a line whose end has not come.
    private var line: [UInt8] = []
    /// How the command ended, once that is known; what follows is not looked at.
    private var result: Result<ExitStatus, any Error>?

    /// Whether something has been handed out.
    private(set) var hasReport = false

    mutating func take(_ piece: [UInt8], _ reply: (String, [UInt8]) throws -> Void) {
        var rest = piece[...]
        while result == nil, let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            line += rest[..<end]
            rest = rest[(end + 1)...]
            takeLine(reply)
            line.removeAll(keepingCapacity: true)
        }
        if result == nil { line += rest }
    }

    private mutating func takeLine(_ reply: (String, [UInt8]) throws -> Void) {
        if line.isEmpty { return }
        do {
            let type = try ReportLine.type(of: line)
            switch type {
            case EndReport.type:
                let end = try ReportLine.decode(EndReport.self, from: line)
                result = .success(ExitStatus(rawValue: end.status) ?? .failed)
            case CommandFailure.type:
                result = .failure(try ReportLine.decode(CommandFailure.self, from: line))
            default:
                hasReport = true
                try reply(type, line)
            }
        } catch is DecodingError {
            result = .failure(CommandFailure("ctl", "the server's answer cannot be read"))
        } catch {
            result = .failure(error)
        }
    }

    /// - Throws: what the command, or `reply`, failed with.
    mutating func finish(_ reply: (String, [UInt8]) throws -> Void) throws -> ExitStatus {
        if result == nil { takeLine(reply) }
        guard let result else {
            throw CommandFailure("ctl", "the server's answer has no end")
        }
        return try result.get()
    }
}
