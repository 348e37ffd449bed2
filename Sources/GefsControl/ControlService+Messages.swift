import GefsEngine
import GefsServer

/// The files `ctl` and `status` of dialect N. Source: SEMANTICS 9.
extension ControlService {
    /// Runs a line that was written to `ctl`; returns when the operation is done.
    func performMessage(_ words: [String]) throws(ControlMessageError) {
        do {
            switch (words.first, words.count) {
            case ("sync", 1): try sync()
            case ("users", 1): try fileSystem.reloadUsers()
            case ("halt", 1):
                guard let server else { throw ControlMessageError.refused("no server holds it") }
                try settle()
                server.halt()
            case ("check", 1): try checkForMessage()
            case ("delsnap", 2), ("snap", 3), ("fork", 3):
                guard let command = LabelCommand(words) else { throw ControlMessageError.invalid }
                _ = try perform(command)
            case ("retain", 3...):
                guard let choice = RetentionChoice(words.dropFirst(2)) else {
                    throw ControlMessageError.invalid
                }
                try setRetention(choice, of: words[1])
            case ("usereserve", 2):
                guard let keeps = Self.keepsReserve(words) else {
                    throw ControlMessageError.invalid
                }
                fileSystem.isReserveOpen = !keeps
            case ("debug", 2):
                // There are no levels that a number could choose.
                guard Int(words[1]) != nil else { throw ControlMessageError.invalid }
            default: throw ControlMessageError.invalid
            }
        } catch let error as FileError {
            throw .file(error)
        } catch let error as ControlMessageError {
            throw error
        } catch {
            throw .refused("\(error)")
        }
    }

    private func checkForMessage() throws {
        let report = try fileSystem.check()
        if report.errorCount > 0 || !report.isComplete { throw ControlMessageError.checkFailed }
    }

    /// What `status` says: how full the volume is, its settings and its labels.
    func statusText() throws(FileError) -> String {
        let space = fileSystem.space()
        let percent = space.size == 0 ? 0 : space.used * 100 / space.size
        var lines = ["gefs p9", "usage \(percent) \(space.used) \(space.size)"]
        if let failureText { lines.append("failure \(failureText)") }
        let labels = try fileSystem.labels()
        lines += try settings(of: nil)
        for label in labels where label.isMutable { lines += try settings(of: label.name) }
        for label in labels {
            let name = ByteText.string(label.name)
            lines.append("\(label.isMutable ? "fork" : "snap") \(name)")
        }
        return lines.map { $0 + "\n" }.joined()
    }

    private func settings(of label: [UInt8]?) throws(FileError) -> [String] {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        let name = label.map(text) ?? "-"
        return try fileSystem.configuration(of: label).map {
            "conf \(name) \(text($0.name)) \(text($0.value))"
        }
    }
}
