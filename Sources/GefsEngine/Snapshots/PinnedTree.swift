import GefsFormat

/// A tree that somebody looks at as a whole: its label cannot be deleted and none of its blocks is
/// freed while this is referenced.
final class PinnedTree: @unchecked Sendable {
    let label: [UInt8]
    /// The snapshot that the label named when it was pinned; a branch's tree may be newer.
    let generation: Generation
    let version: TreeVersion
    private let branch: Branch

    var root: TreeRoot { version.root }

    fileprivate init(_ branch: Branch, label: [UInt8], generation: Generation) {
        self.branch = branch
        self.label = label
        self.generation = generation
        version = branch.lock.locked { branch.version }
    }

    deinit {
        branch.lock.locked { branch.removeUser() }
    }
}

extension FileSystem {
    /// Pins a label's tree; of a branch, what has been acknowledged so far is in it.
    ///
    /// - Throws: `.unknownLabel`; what keeps a branch from being committed.
    func pin(_ label: [UInt8]) throws(FileError) -> PinnedTree {
        let branch = try volume.use(label, mayBlock: true)
        if branch.isMutable {
            do throws(FileError) {
                try volume.sync()
            } catch {
                branch.lock.locked { branch.removeUser() }
                throw error
            }
        }
        let generation = volume.history.label(label)?.generation ?? .none
        return PinnedTree(branch, label: label, generation: generation)
    }
}
