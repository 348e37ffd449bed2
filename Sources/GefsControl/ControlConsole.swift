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
        let bytes = Array(command.utf8)
        guard bytes.first == UInt8(ascii: "{") else {
            return text(ControlWords.split(command)) { try service.perform($0, reply: $1) }
        }
        guard let request = try? ReportLine.decode(ControlRequest.self, from: bytes) else {
            return line(CommandFailure("ctl", "not a request", status: .usage))
        }
        var answer = ""
        do {
            let status = try service.perform(request.words) { answer += line($0) }
            return answer + line(EndReport(status: status))
        } catch let failure as CommandFailure {
            return answer + line(failure)
        } catch {
            return answer + line(CommandFailure("ctl", "\(error)"))
        }
    }

    public func runMessage(_ line: String, user: UserID) throws(ControlMessageError) {
        try service.performMessage(ControlWords.split(line))
    }

    public func status() throws(FileError) -> String {
        try service.statusText()
    }

    private func text(
        _ words: [String], _ perform: ([String], ControlService.Reply) throws -> ExitStatus
    ) -> String {
        var answer: [String] = []
        let format = ReportText()
        do {
            _ = try perform(words) { report in
                answer += try format.lines(
                    Swift.type(of: report).type, try ReportLine.encode(report))
            }
        } catch let failure as CommandFailure {
            answer.append(
                failure.what.isEmpty ? failure.why : "\(failure.what): \(failure.why)")
        } catch {
            answer.append("\(error)")
        }
        return answer.map { $0 + "\n" }.joined()
    }

    private func line(_ report: some Report) -> String {
        guard let line = try? ReportLine.encode(report) else { return "" }
        return String(decoding: line, as: UTF8.self) + "\n"
    }
}
