import GefsEngine

/// What holds space, and what deleting would free.
extension ControlService {
    /// `df [--explain]`
    func showSpace(_ arguments: [String], _ reply: Reply) throws {
        switch arguments {
        case []:
            let space = fileSystem.settledSpace()
            try reply(DiskSpaceReport(space, failure: failureText))
        case ["--explain"]:
            let space = try failing { () throws(FileError) in try fileSystem.explainSpace() }
            try reply(SpaceUseReport(space))
        default: throw CommandFailure("df", "usage: df [--explain]", status: .usage)
        }
    }

    /// `snap list [--short]`: without sizes nothing but labels is looked at.
    func listLabels(_ operands: [String], _ reply: Reply) throws {
        switch operands {
        case []:
            let labels = try failing { () throws(FileError) in try fileSystem.labelSpace() }
            for label in labels { try reply(LabelReport(label)) }
        case ["--short"]:
            let labels = try failing { () throws(FileError) in try fileSystem.labels() }
            for label in labels { try reply(LabelReport(label)) }
        default: throw Self.usage("list [--short]")
        }
    }

    /// `snap delete --dry-run NAME...`
    func explainDeletion(_ names: [String], _ reply: Reply) throws {
        guard !names.isEmpty else { throw Self.usage("delete --dry-run NAME...") }
        let space = try failing { () throws(FileError) in
            try fileSystem.deletionSpace(of: names.map { ByteText.bytes(of: $0) })
        }
        try reply(DeletionReport(space))
    }

    /// `snap thin SIZE [--yes]`: proposes what to delete, and with `--yes` deletes it.
    func thin(_ operands: [String], _ reply: Reply) throws {
        let doesDelete = operands.dropFirst() == ["--yes"]
        guard let need = operands.first.flatMap(HumanSize.parse), need > 0,
            doesDelete || operands.count == 1
        else { throw Self.usage("thin SIZE [--yes]") }
        let space = try failing { () throws(FileError) in
            try fileSystem.thinning(freeing: need)
        }
        guard space.freedBytes >= need else {
            throw CommandFailure(
                image,
                "all snapshots that may go hold only \(HumanSize.text(space.freedBytes)) alone",
                next: "gefs df --explain shows what holds the rest", status: .noSpace)
        }
        try reply(DeletionReport(space))
        guard doesDelete else { return }
        try change(space.labels.map { .delete($0.name) })
        for label in space.labels {
            try reply(
                LabelChangeReport(.delete, String(decoding: label.name, as: UTF8.self)))
        }
    }
}
