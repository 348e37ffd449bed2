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
        let answer: [UInt8]
        do throws(ClientError) {
            let root = try client.attach(user: "adm", tree: ".ctl")
            defer { try? root.clunk() }
            let file = try root.walk("ctl")
            defer { try? file.clunk() }
            try file.open(OpenFlags.readWrite)
            let request = (try? ReportLine.encode(ControlRequest(words))) ?? []
            try file.write(request + [UInt8(ascii: "\n")], at: 0)
            answer = try read(file, isHalt: words == ["halt"])
        } catch {
            let refusal = RemoteRefusal(error)
            if case .unknownTree = refusal.kind {
                throw CommandFailure(
                    words.joined(separator: " "), "this socket takes no commands",
                    next: "use the control socket, IMAGE.sock")
            }
            throw refusal.failure(about: words.joined(separator: " "))
        }
        return try report(answer, reply)
    }

    /// Reads the answer. A server that was halted may be gone before its answer is read; that the
    /// command was taken says that it is carried out.
    private static func read(_ file: RemoteFile, isHalt: Bool) throws(ClientError) -> [UInt8] {
        do throws(ClientError) {
            return try file.readAll()
        } catch {
            guard isHalt, case .connectionClosed = error,
                let halt = try? ReportLine.encode(HaltReport(image: "", process: 0)),
                let end = try? ReportLine.encode(EndReport(status: .done))
            else { throw error }
            return halt + [UInt8(ascii: "\n")] + end
        }
    }

    private static func report(
        _ answer: [UInt8], _ reply: (String, [UInt8]) throws -> Void
    ) throws -> ExitStatus {
        do {
            for line in answer.split(separator: UInt8(ascii: "\n")) {
                let line = Array(line)
                let type = try ReportLine.type(of: line)
                switch type {
                case EndReport.type:
                    let end = try ReportLine.decode(EndReport.self, from: line)
                    return ExitStatus(rawValue: end.status) ?? .failed
                case CommandFailure.type:
                    throw try ReportLine.decode(CommandFailure.self, from: line)
                default:
                    try reply(type, line)
                }
            }
        } catch is DecodingError {
            throw CommandFailure("ctl", "the server's answer cannot be read")
        }
        throw CommandFailure("ctl", "the server's answer has no end")
    }
}
