import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The commands of `snap`, as the tool gives them.
extension ControlService {
    /// Runs a command of `snap`: the first word says which. What is none of them is the original's
    /// `snap old new`.
    func snapshots(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        let operands = Array(arguments.dropFirst())
        switch arguments.first {
        case "list": try listLabels(operands, reply)
        case "thin": try thin(operands, reply)
        case "create": try createLabel(operands, isBranch: false, reply)
        case "fork": try createLabel(operands, isBranch: true, reply)
        case "delete": try deleteLabels(operands, reply)
        case "rename": try renameLabel(operands, reply)
        case "rollback": try rollBack(operands, reply)
        case "merge": return try merge(operands, reply)
        case "diff": return try difference(operands, reply)
        case "resolve": try resolve(operands, reply)
        case "retain": try snapshotRetention(operands, reply)
        default: try label(["snap"] + arguments, reply)
        }
        return .done
    }

    private func createLabel(_ operands: [String], isBranch: Bool, _ reply: Reply) throws {
        guard operands.count == 2 else {
            throw Self.usage(isBranch ? "fork FROM NAME" : "create FROM NAME")
        }
        let (from, name) = (try source(operands[0]), ByteText.bytes(of: operands[1]))
        try change([isBranch ? .fork(of: from, as: name) : .snapshot(of: from, as: name)])
        try reply(
            LabelChangeReport(
                isBranch ? .fork : .create, operands[1], from: ByteText.string(from)
            ))
    }

    private func deleteLabels(_ operands: [String], _ reply: Reply) throws {
        if operands.first == "--dry-run" {
            return try explainDeletion(Array(operands.dropFirst()), reply)
        }
        guard !operands.isEmpty else { throw Self.usage("delete [--dry-run] NAME...") }
        try change(operands.map { .delete(ByteText.bytes(of: $0)) })
        if server == nil {
            // Nobody goes on with it when this process has ended.
            try failing { () throws(FileError) in
                try fileSystem.drainHistory { !self.isCancelled() }
            }
        }
        for name in operands { try reply(LabelChangeReport(.delete, name)) }
    }

    private func renameLabel(_ operands: [String], _ reply: Reply) throws {
        guard operands.count == 2 else { throw Self.usage("rename OLD NEW") }
        try change([.rename(ByteText.bytes(of: operands[0]), to: ByteText.bytes(of: operands[1]))])
        try reply(LabelChangeReport(.rename, operands[1], from: operands[0]))
    }

    private func rollBack(_ operands: [String], _ reply: Reply) throws {
        let usage = Self.usage("rollback BRANCH TO [--keep NAME | --discard]")
        guard operands.count >= 2 else { throw usage }
        let (branch, target) = (operands[0], try source(operands[1]))
        if branch == "adm" { try checkUsers(of: target) }
        func perform(_ kept: String?) throws {
            try change([
                .rollback(
                    branch: ByteText.bytes(of: branch), to: target,
                    keeping: kept.map { ByteText.bytes(of: $0) })
            ])
            // The users of the tree that adm is now.
            if branch == "adm" {
                try failing { () throws(FileError) in try fileSystem.reloadUsers() }
            }
            try reply(
                LabelChangeReport(
                    .rollback, branch, from: ByteText.string(target), kept: kept))
        }
        switch (operands.dropFirst(2).first, operands.count) {
        case (nil, _): try keepUnderFreeName(branch, perform)
        case ("--keep", 4): try perform(operands[3])
        case ("--discard", 3): try perform(nil)
        default: throw usage
        }
    }

    /// Refuses a tree for `adm` that has no users, since nobody could open the volume then.
    private func checkUsers(of label: [UInt8]) throws {
        do throws(FileError) {
            _ = try fileSystem.users(of: ByteText.string(label))
        } catch {
            throw CommandFailure(
                ByteText.shown(label), "cannot be adm: its file users is missing or broken")
        }
    }

    /// Rolls back under the usual name; one more within the same second gets a number.
    private func keepUnderFreeName(
        _ branch: String, _ perform: (String?) throws -> Void
    ) throws {
        let name = RollbackLabel.name(for: branch)
        let taken = try failing { () throws(FileError) in try fileSystem.labels() }.map(\.name)
        let number = (1...).first { number in
            !taken.contains(ByteText.bytes(of: Self.numbered(name, number)))
        }
        try perform(Self.numbered(name, number ?? 1))
    }

    private static func numbered(_ name: String, _ number: Int) -> String {
        number == 1 ? name : "\(name).\(number)"
    }

    static func usage(_ text: String) -> CommandFailure {
        CommandFailure("snap", "usage: snap \(text)", status: .usage)
    }

    /// The label that a name of a branch, a snapshot or a time stands for.
    func resolved(_ name: String) throws(FileError) -> [UInt8] {
        let name = ByteText.bytes(of: name)
        do throws(FileError) {
            return try fileSystem.resolve(name)
        } catch .unknownLabel {
            throw .label(.unknown, name)
        }
    }

    /// `snap resolve NAME`: which label a name of a state stands for, or why it stands for none.
    private func resolve(_ operands: [String], _ reply: Reply) throws {
        guard operands.count == 1 else { throw Self.usage("resolve NAME") }
        let label = try source(operands[0])
        let isMutable = try failing { () throws(FileError) in try fileSystem.labels() }
            .first { $0.name == label }?.isMutable
        try reply(
            LabelNameReport(
                name: String(decoding: label, as: UTF8.self), mutable: isMutable ?? false))
    }

    private func source(_ name: String) throws(CommandFailure) -> [UInt8] {
        do throws(FileError) {
            return try resolved(name)
        } catch {
            throw CommandFailure(name, error)
        }
    }

    /// Changes labels; durable on return.
    ///
    /// - Throws: `CommandFailure` about the label that is refused, with who uses it.
    func change(_ changes: [HistoryChange]) throws(CommandFailure) {
        do throws(FileError) {
            try perform(changes)
        } catch {
            var failure = CommandFailure(image, error)
            if case .label(.inUse, let label) = error { failure.next = holders(of: label) }
            if case .label(.exists, _) = error {
                failure.next = "choose another name, or delete that one: gefs snap delete"
            }
            throw failure
        }
    }

    /// Changes labels, also those that the kernel only remembers to have looked at.
    func perform(_ changes: [HistoryChange]) throws(FileError) {
        for _ in 0..<20 {
            do throws(FileError) {
                return try fileSystem.change(changes, as: Caller(user: .adm))
            } catch .label(.inUse, let label) {
                guard server?.forgetVisits() ?? false else { throw .label(.inUse, label) }
                // The kernel forgets on a thread of its own.
                usleep(10_000)
            }
        }
        try fileSystem.change(changes, as: Caller(user: .adm))
    }

    /// Who has to leave a label before it can be deleted.
    private func holders(of label: [UInt8]) -> String {
        let users = fileSystem.users
        var seen: Set<String> = []
        let holders = (server?.fids ?? []).filter { $0.label == label }.map { fid in
            let user = users.name(of: fid.user).map { ByteText.string($0) }
            return "\(user ?? "\(fid.user.rawValue)") (\(fid.client))"
        }.filter { seen.insert($0).inserted }
        if holders.isEmpty { return "a command looks at it; try again when it is done" }
        let more = holders.count > 5 ? " and \(holders.count - 5) more" : ""
        return "attached: \(holders.prefix(5).joined(separator: ", "))\(more)"
    }
}

/// The label that keeps what a branch was before it went back.
enum RollbackLabel {
    /// `BRANCH@before-rollback.2026.05.01_10:00:00`, in UTC, as automatic snapshots have it.
    static func name(for branch: String, at seconds: Int = time(nil)) -> String {
        guard let time = CivilTime(seconds: Int64(seconds)) else {
            return "\(branch)@before-rollback.\(seconds)"
        }
        func pad(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(time.year).\(pad(time.month)).\(pad(time.day))"
        let clock = "\(pad(time.hour)):\(pad(time.minute)):\(pad(time.second))"
        return "\(branch)@before-rollback.\(date)_\(clock)"
    }
}
