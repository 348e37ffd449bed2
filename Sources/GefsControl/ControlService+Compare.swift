import GefsEngine
import GefsFormat

/// The operand of a command that names a path; in hexadecimal for names that are no UTF-8.
private struct PathWords {
    var elements: [[UInt8]] = []
    /// As given, for messages.
    var shown = "/"

    /// Reads `PATH`, or `--hex DIGITS`, at the end of a command; no words at all are the root.
    init?(_ words: ArraySlice<String>) {
        let bytes: [UInt8]
        switch (words.count, words.first) {
        case (0, _): return
        case (1, let path?): bytes = Array(path.utf8)
        case (2, "--hex"):
            guard let digits = words.last, let decoded = NameText.bytes(hexadecimal: digits) else {
                return nil
            }
            bytes = decoded
        default: return nil
        }
        shown = String(decoding: bytes, as: UTF8.self)
        for element in bytes.split(separator: UInt8(ascii: "/")) {
            if element.elementsEqual(".".utf8) { continue }
            if element.elementsEqual("..".utf8) {
                _ = elements.popLast()
            } else {
                elements.append(Array(element))
            }
        }
    }
}

extension ControlService {
    /// Changes that are sorted by path; more come as the trees have them, so that they need not be
    /// held in memory.
    private static let sortedChangesMax = 10_000

    /// `snap diff A B [PATH] [--stat]`: what has become of each file, or totals.
    ///
    /// - Returns: `done` where nothing differs, else `differs`.
    func difference(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        let operands = arguments.filter { $0 != "--stat" }
        guard operands.count >= 2, let path = PathWords(operands[2...]) else {
            throw CommandFailure("snap", "usage: snap diff A B [PATH] [--stat]", status: .usage)
        }
        let (old, new) = (try branch(operands[0]), try branch(operands[1]))
        let users = fileSystem.users
        let listsChanges = operands.count == arguments.count
        var held: [PathChange]? = listsChanges ? [] : nil
        var failure: (any Error)?
        let totals: ComparisonTotals
        do throws(FileError) {
            totals = try fileSystem.compare(old, new, under: path.elements) { change in
                guard listsChanges else { return !isCancelled() }
                held?.append(change)
                if let all = held, all.count <= Self.sortedChangesMax { return !isCancelled() }
                do {
                    for change in held ?? [change] { try reply(ChangeReport(change, users)) }
                    held = nil
                } catch {
                    failure = error
                }
                return failure == nil && !isCancelled()
            }
        } catch .notFound {
            throw CommandFailure(path.shown, "neither of the two has such a file or directory")
        } catch {
            throw CommandFailure(image, error)
        }
        if let failure { throw failure }
        if isCancelled() { return .interrupted }
        for change in (held ?? []).sorted(by: Self.precedes) {
            try reply(ChangeReport(change, users))
        }
        if !listsChanges { try reply(ComparisonReport(old, new, totals)) }
        return totals.differenceCount == 0 ? .done : .differs
    }

    /// By path, a directory before what is in it; of two files of one path the one that went first.
    private static func precedes(_ a: PathChange, _ b: PathChange) -> Bool {
        let slash = UInt8(ascii: "/")
        if a.path == b.path { return a.kind == .removed && b.kind != .removed }
        return a.path.lexicographicallyPrecedes(b.path) { left, right in
            if left == slash || right == slash { return left == slash && right != slash }
            return left < right
        }
    }

    /// `log BRANCH PATH`: the versions of a file in the states of a branch, newest first.
    func history(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        guard arguments.count >= 2, let path = PathWords(arguments[1...]) else {
            throw CommandFailure("log", "usage: log BRANCH PATH", status: .usage)
        }
        let label = try branch(arguments[0])
        let history: FileHistory
        do throws(FileError) {
            history = try fileSystem.versions(of: path.elements, in: label)
        } catch .notFound {
            throw CommandFailure(
                "\(arguments[0]):\(path.shown)", "no state of the branch has such a file")
        } catch {
            throw CommandFailure(image, error)
        }
        let users = fileSystem.users
        for version in history.versions { try reply(FileVersionReport(version, users)) }
        try reply(
            FileHistoryReport(
                branch: String(decoding: label, as: UTF8.self), path: path.shown,
                versions: history.versions.count, lookups: history.lookupCount,
                blocksRead: history.blocksRead))
        return .done
    }

    private func branch(_ name: String) throws(CommandFailure) -> [UInt8] {
        do throws(FileError) {
            return try resolved(name)
        } catch {
            throw CommandFailure(name, error)
        }
    }
}
