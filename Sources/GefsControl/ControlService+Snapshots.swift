import GefsEngine
import GefsFormat

extension ControlService {
    /// The commands of `snap`: the first word says which.
    func snapshots(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        let operands = Array(arguments.dropFirst())
        switch arguments.first {
        case "list", "-l": try listLabels(operands, reply)
        default:
            throw CommandFailure("snap", "usage: snap list", status: .usage)
        }
        return .done
    }

    private func listLabels(_ operands: [String], _ reply: Reply) throws {
        guard operands.isEmpty else {
            throw CommandFailure("snap", "usage: snap list", status: .usage)
        }
        let labels = try failing { () throws(FileError) in try fileSystem.labels() }
        for label in labels { try reply(LabelReport(label)) }
    }
}
