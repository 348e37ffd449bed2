/// The tool's end of a control socket.
public enum ControlClient {
    /// Sends a command and hands out each line of the answer.
    ///
    /// - Parameters:
    ///   - path: the control socket.
    ///   - reply: gets the type of each report and its line.
    /// - Returns: how the command ended.
    /// - Throws: `CommandFailure` where the command failed, or the server went away.
    public static func perform(
        _ words: [String], at path: String, reply: (String, [UInt8]) throws -> Void
    ) throws -> ExitStatus {
        let channel = try open(path)
        do {
            try channel.write(ControlRequest(words))
            while let line = try channel.readLine() {
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
        } catch let failure as SocketError {
            throw CommandFailure(path, "\(failure)")
        } catch is DecodingError {
            throw CommandFailure(path, "does not speak the control protocol")
        }
        throw CommandFailure(path, "the server went away before it answered")
    }

    private static func open(_ path: String) throws -> LineChannel {
        do {
            return LineChannel(try UnixSocket.connect(to: path))
        } catch {
            throw CommandFailure(
                path, error.isAbsence ? "no server listens here" : "\(error)",
                status: error.isAbsence ? .noImage : .failed)
        }
    }
}
