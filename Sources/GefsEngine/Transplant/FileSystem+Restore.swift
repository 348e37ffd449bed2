import GefsFormat

/// How paths are brought back.
public struct RestoreOptions: Sendable {
    /// Entries of restored directories that were not there then are removed.
    public var deletesNew = false
    /// Nothing is changed; the report says what would be.
    public var isDryRun = false

    public init() {}
}

/// What a path cannot be brought back for.
public struct RestoreError: Error, Sendable {
    /// Names from the root; nil where the fault is not that of one path.
    public var path: [[UInt8]]?
    public var fault: FileError
}

extension FileSystem {
    /// Brings paths of a branch back to what they are in another label's tree, all at once.
    ///
    /// Contents, permissions, owners and times come back, and of directories everything that they
    /// held, with the directories above where those are missing. Files with open handles change under
    /// them, like by a write of somebody else.
    /// - Parameter paths: each the names from the root; empty for the root.
    /// - Returns: what was changed, when it is durable.
    /// - Throws: `RestoreError` with `.notFound`, `.notADirectory` or `.exists` and the path;
    ///   `.unknownLabel`, `.label`, `.volumeFull`, `.interference`. Nothing is changed then.
    public func restore(
        _ paths: [[[UInt8]]], from label: [UInt8], into branch: [UInt8],
        options: RestoreOptions = RestoreOptions(), as caller: Caller
    ) throws(RestoreError) -> TransplantReport {
        var failed: [[UInt8]]?
        do throws(FileError) {
            let source = TreeFiles(volume, try pin(label))
            return try transplant(into: branch, isDryRun: options.isDryRun, as: caller) {
                (target) throws(FileError) -> [FileChange] in
                var restoration = Restoration(
                    from: source, to: target, deletesNew: options.deletesNew)
                for path in Self.outermost(paths) {
                    failed = path
                    try restoration.add(path)
                }
                failed = nil
                return try restoration.finish()
            }
        } catch {
            throw RestoreError(path: failed, fault: error)
        }
    }

    /// The paths that lie below no other of them.
    private static func outermost(_ paths: [[[UInt8]]]) -> [[[UInt8]]] {
        var kept: [[[UInt8]]] = []
        for path in paths.sorted(by: { $0.count < $1.count })
        where !kept.contains(where: { path.starts(with: $0) }) {
            kept.append(path)
        }
        return kept
    }
}
