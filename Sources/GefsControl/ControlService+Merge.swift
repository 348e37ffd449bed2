import GefsEngine

extension ControlService {
    // MARK: Undo

    private static let undoUsage =
        "usage: undo FROM [--into BRANCH] [--delete] [--dry-run] PATH|--hex DIGITS ..."

    /// What `undo` was asked for.
    private struct UndoRequest {
        var from: String
        var branch: String?
        var paths: [[UInt8]] = []
        var options = RestoreOptions()

        init?(_ words: [String]) {
            guard let from = words.first else { return nil }
            self.from = from
            var rest = words.dropFirst()
            while let word = rest.popFirst() {
                switch word {
                case "--delete": options.deletesNew = true
                case "--dry-run": options.isDryRun = true
                case "--into":
                    guard let name = rest.popFirst() else { return nil }
                    branch = name
                case "--hex":
                    guard let digits = rest.popFirst(),
                        let path = NameText.bytes(hexadecimal: digits)
                    else { return nil }
                    paths.append(path)
                default: paths.append(Array(word.utf8))
                }
            }
            if paths.isEmpty { return nil }
        }
    }

    /// `undo FROM PATH ...`: brings paths of a branch back to what they are in an earlier state.
    func undo(_ words: [String], _ reply: Reply) throws -> ExitStatus {
        guard let request = UndoRequest(words) else {
            throw CommandFailure("undo", Self.undoUsage, status: .usage)
        }
        let label = try state(request.from)
        let branch = try request.branch ?? branch(ofState: request.from)
        let paths = request.paths.map { path in
            path.split(separator: UInt8(ascii: "/")).map { Array($0) }
                .filter { $0 != [UInt8(ascii: ".")] }
        }
        let report: TransplantReport
        do throws(RestoreError) {
            report = try fileSystem.restore(
                paths, from: label, into: Array(branch.utf8), options: request.options,
                as: Self.restorer)
        } catch {
            throw failure(error, request.from)
        }
        try finish(branch, report, isDryRun: request.options.isDryRun, reply)
        try reply(
            RestoreReport(branch, from: label, isDryRun: request.options.isDryRun, report))
        return .done
    }

    private func failure(_ error: RestoreError, _ from: String) -> CommandFailure {
        guard let path = error.path else { return CommandFailure(image, error.fault) }
        let text = String(decoding: PathText.bytes(path), as: UTF8.self)
        switch error.fault {
        case .exists:
            return CommandFailure(
                text, "a directory that is new is where a file has to come back",
                next: "--delete lets it go, or move it away")
        case .notADirectory:
            return CommandFailure(
                text, "a file is now where a directory has to come back",
                next: "undo the directory itself, or move the file away")
        case .notFound: return CommandFailure("\(from):\(text)", error.fault)
        default: return CommandFailure(image, error.fault)
        }
    }

    /// The branch that the name of an earlier state begins with.
    private func branch(ofState name: String) throws -> String {
        let labels = try failing { () throws(FileError) in try fileSystem.labels() }
        let branches = labels.filter(\.isMutable).map { String(decoding: $0.name, as: UTF8.self) }
        let found = branches.filter { branch in
            name.hasPrefix(branch + "@") || name.hasPrefix(branch + "~")
        }
        guard let branch = found.max(by: { $0.count < $1.count }) else {
            throw CommandFailure(
                name, "does not say which branch it belongs to", next: "say --into BRANCH",
                status: .usage)
        }
        return branch
    }

    // MARK: Merge

    /// `snap merge FORK into BRANCH`: takes over what a fork has changed.
    ///
    /// - Returns: `findings` where there are conflicts.
    func merge(_ words: [String], _ reply: Reply) throws -> ExitStatus {
        var options = MergeOptions()
        var names: [String] = []
        var isUsable = true
        for word in words {
            switch word {
            case "--dry-run": options.isDryRun = true
            case "--ours", "--theirs":
                if options.preference != nil { isUsable = false }
                options.preference = word == "--ours" ? .ours : .theirs
            default: names.append(word)
            }
        }
        guard isUsable, names.count == 3, names[1] == "into", names[0] != names[2] else {
            throw CommandFailure(
                "snap", "usage: snap merge FORK into BRANCH [--dry-run] [--ours|--theirs]",
                status: .usage)
        }
        let fork = try state(names[0])
        let (branch, chosen) = (names[2], options)
        let report = try failing { () throws(FileError) in
            try fileSystem.merge(
                fork, into: Array(branch.utf8), options: chosen, as: Self.restorer)
        }
        for conflict in report.conflicts { try reply(ConflictReport(conflict)) }
        try finish(branch, report.changes, isDryRun: options.isDryRun, reply)
        try reply(MergeResultReport(names[0], branch, isDryRun: options.isDryRun, report))
        return report.conflicts.isEmpty ? .done : .findings
    }

    // MARK: Both

    /// Passes all permissions; what is stamped says that adm did it.
    private static let restorer = Caller(user: .adm, isPermissive: true)

    private func state(_ name: String) throws(CommandFailure) -> [UInt8] {
        do throws(FileError) {
            return try resolved(name)
        } catch {
            throw CommandFailure(name, error)
        }
    }

    private func finish(
        _ branch: String, _ report: TransplantReport, isDryRun: Bool, _ reply: Reply
    ) throws {
        // The users of the tree that adm is now.
        if branch == "adm", !isDryRun {
            try failing { () throws(FileError) in try fileSystem.reloadUsers() }
        }
        for item in report.items { try reply(TransplantItemReport(item)) }
    }
}
