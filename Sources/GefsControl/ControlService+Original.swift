import GefsEngine

/// Commands in the spellings of the original's consoles, with its words. Source: SEMANTICS 9.
extension ControlService {
    /// A change of labels that the original has a spelling for.
    enum LabelCommand: Equatable {
        case list
        case snapshot(of: String, as: String)
        case fork(of: String, as: String)
        case delete(String)

        /// - Parameter words: `snap -l`, `snap [-m] old new`, `snap -d old`; `fork old new` and
        ///   `delsnap old` of dialect N. Nil for anything else.
        init?(_ words: [String]) {
            switch (words.first, words.dropFirst().first, words.count) {
            case ("snap", "-l", 2): self = .list
            case ("snap", "-d", 3), ("delsnap", _, 2): self = .delete(words[words.count - 1])
            case ("snap", "-m", 4): self = .fork(of: words[2], as: words[3])
            case ("snap", let first?, 3) where !first.hasPrefix("-"):
                self = .snapshot(of: words[1], as: words[2])
            case ("fork", _, 3): self = .fork(of: words[1], as: words[2])
            default: return nil
            }
        }
    }

    /// Runs a command that changes labels; errors have the original's words.
    func label(_ words: [String], _ reply: Reply) throws {
        guard let command = LabelCommand(words) else {
            throw CommandFailure(
                "snap", "usage: snap -l | snap [-m] old new | snap -d old", status: .usage)
        }
        if command == .list {
            let labels = try failing { () throws(FileError) in try fileSystem.labels() }
            for label in labels {
                let name = ByteText.string(label.name)
                try reply(LabelNameReport(name: name, mutable: label.isMutable))
            }
            return
        }
        let report: LabelChangeReport
        do throws(FileError) {
            report = try perform(command)
        } catch {
            throw Self.failure(error, image: image)
        }
        try reply(report)
    }

    /// Changes the labels.
    func perform(_ command: LabelCommand) throws(FileError) -> LabelChangeReport {
        let (change, report): (HistoryChange, LabelChangeReport)
        switch command {
        case .list: throw .notFound
        case .snapshot(let from, let name):
            change = .snapshot(of: try resolved(from), as: ByteText.bytes(of: name))
            report = LabelChangeReport(.create, name, from: from)
        case .fork(let from, let name):
            change = .fork(of: try resolved(from), as: ByteText.bytes(of: name))
            report = LabelChangeReport(.fork, name, from: from)
        case .delete(let name):
            change = .delete(ByteText.bytes(of: name))
            report = LabelChangeReport(.delete, name)
        }
        try perform([change])
        return report
    }

    private static func failure(_ error: FileError, image: String) -> CommandFailure {
        guard case .label(let fault, let name) = error else { return CommandFailure(image, error) }
        let label = ByteText.string(name)
        var failure = CommandFailure(image, error)
        failure.what = "snap"
        switch fault {
        case .exists: failure.why = "already exists '\(label)'"
        case .unknown: failure.why = "open '\(label)': does not exist"
        case .inUse: failure.why = "snap is mounted: '\(label)'"
        default: failure.why = "\(failure.why): '\(label)'"
        }
        return failure
    }

    // MARK: The reserve

    /// `reserve on|off`, and dialect N's `usereserve n`, which says the contrary.
    func reserve(_ words: [String], _ reply: Reply) throws {
        guard words.count == 2, let keeps = Self.keepsReserve(words) else {
            throw CommandFailure(
                words[0], "usage: reserve on|off, usereserve 0|1", status: .usage)
        }
        let before = !fileSystem.isReserveOpen
        fileSystem.isReserveOpen = !keeps
        try reply(ReserveReport(before: before, after: keeps))
    }

    /// Whether the words ask for the reserve to be kept; nil where they are no such command.
    static func keepsReserve(_ words: [String]) -> Bool? {
        switch (words.first, words.last) {
        case ("reserve", "on"): true
        case ("reserve", "off"): false
        case ("usereserve", let number?): Int(number).map { $0 == 0 }
        default: nil
        }
    }

    // MARK: Looking

    /// `show fid|tree [name]|users|bstate|free`.
    func show(_ arguments: [String], _ reply: Reply) throws {
        switch (arguments.first, arguments.count) {
        case ("fid", 1): try showFids(reply)
        case ("tree", 1): try debug(["tree", "main"], reply)
        case ("tree", 2): try debug(arguments, reply)
        case ("users", 1): try showUsers(reply)
        case ("bstate", 1): try showMemory(reply)
        case ("free", 1): try showFree(reply)
        default:
            throw CommandFailure(
                "show", "usage: show fid|tree [name]|users|bstate|free", status: .usage)
        }
    }

    private func showFids(_ reply: Reply) throws {
        guard let server else { throw CommandFailure(image, "no server holds it") }
        let users = fileSystem.users
        for fid in server.fids {
            let user = users.name(of: fid.user).map { ByteText.string($0) }
            try reply(
                FidReport(
                    client: fid.client, fid: fid.number, user: user ?? "\(fid.user.rawValue)",
                    label: ByteText.string(fid.label),
                    path: ByteText.string(fid.path), open: fid.isOpen))
        }
    }

    private func showUsers(_ reply: Reply) throws {
        let table = fileSystem.users
        func name(_ id: UserID) -> String {
            table.name(of: id).map { ByteText.string($0) } ?? "\(id.rawValue)"
        }
        for user in table.users {
            let members = user.members.map(name).joined(separator: ",")
            try reply(
                MessageReport(
                    "\(user.id.rawValue):\(name(user.id)):\(user.leader.map(name) ?? ""):\(members)"
                ))
        }
    }

    private func showMemory(_ reply: Reply) throws {
        let state = try failing { () throws(FileError) in try fileSystem.memoryState() }
        try reply(
            MessageReport(
                """
                cache: \(state.cachedBlocks) blocks, \(state.cachedBytes) bytes \
                of \(state.cacheBytesMax)
                reads: \(state.hits) from the cache, \(state.misses) from the disk, \
                \(state.evictions) blocks evicted
                changes: \(state.unflushedBytes) bytes not written yet
                retired: \(state.retiredBlocks) blocks wait for a commit
                """))
    }

    private func showFree(_ reply: Reply) throws {
        let arenas = try failing { () throws(FileError) in try fileSystem.freeSpace() }
        for (index, arena) in arenas.enumerated() {
            try reply(
                MessageReport(
                    "arena \(index): \(arena.freeBytes) bytes free in \(arena.runs) runs, "
                        + "the longest of \(arena.longestRunBytes)"))
        }
    }

    /// `save trace [file]`: there is none.
    func save(_ arguments: [String], _ reply: Reply) throws {
        guard arguments.first == "trace", arguments.count <= 2 else {
            throw CommandFailure("save", "usage: save trace [file]", status: .usage)
        }
        try reply(MessageReport("no trace is kept: nothing was saved"))
    }

    /// `debug n`: there are no levels.
    func debugLevel(_ reply: Reply) throws {
        try reply(
            MessageReport(
                "there are no debug levels: serve --verbose logs more, "
                    + "debug superblock|arena|log|block|tree shows structures"))
    }
}
