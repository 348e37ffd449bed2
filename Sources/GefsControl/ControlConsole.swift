import GefsEngine
import GefsServer

/// The commands as the server's control file, its console, and the file `ctl` of dialect N take them.
///
/// A line that begins with `{` is a `ControlRequest`, and its answer is one JSON object a line,
/// the last one of type `end` or `error`. Any other line is a command as a person types it, and
/// its answer is text. Source: Docs/PROTOCOL.md.
public struct ControlConsole: ControlHandler {
    private let service: ControlService

    public init(_ service: ControlService) {
        self.service = service
    }

    public func run(_ command: String, user: UserID) -> String {
        var answer = ""
        run(command, user: user) { answer += $0 }
        return answer
    }

    public func run(_ command: String, user: UserID, output: (String) -> Void) {
        let bytes = Array(command.utf8)
        guard bytes.first == UInt8(ascii: "{") else {
            _ = perform(command, output)
            return
        }
        guard let request = try? ReportLine.decode(ControlRequest.self, from: bytes) else {
            return output(line(CommandFailure("ctl", "not a request", status: .usage)))
        }
        do {
            let status = try service.perform(request.words) { output(line($0)) }
            output(line(EndReport(status: status)))
        } catch let failure as CommandFailure {
            output(line(failure))
        } catch {
            output(line(CommandFailure("ctl", "\(error)")))
        }
    }

    public func runMessage(_ line: String, user: UserID) throws(ControlMessageError) {
        try service.performMessage(ControlWords.split(line))
    }

    public func status() throws(FileError) -> String {
        try service.statusText()
    }

    /// Carries out a command as a person types it.
    ///
    /// - Returns: whether it was done, and found nothing to be wrong.
    public func perform(_ command: String, _ output: (String) -> Void) -> Bool {
        let format = ReportText()
        do {
            let status = try service.perform(ControlWords.split(command)) { report in
                let lines = try format.lines(
                    Swift.type(of: report).type, try ReportLine.encode(report))
                for line in lines { output(line + "\n") }
            }
            return status == .done
        } catch let failure as CommandFailure {
            output(failure.what.isEmpty ? "\(failure.why)\n" : "\(failure.what): \(failure.why)\n")
        } catch {
            output("\(error)\n")
        }
        return false
    }

    private func line(_ report: some Report) -> String {
        guard let line = try? ReportLine.encode(report) else { return "" }
        return String(decoding: line, as: UTF8.self) + "\n"
    }
}
