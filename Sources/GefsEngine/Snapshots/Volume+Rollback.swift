import GefsFormat

/// A branch goes back to an earlier state, under the eyes of those who are attached.
extension Volume {
    /// Switches the branch, as the first step of a commit.
    ///
    /// From here on it is the tree that it goes back to; what it was until now, with everything that
    /// was acknowledged, goes on as a branch of its own that nobody can reach, until the commit has
    /// made a snapshot of it or has forgotten it.
    func startRollback(
        _ label: [UInt8], to source: [UInt8], keeping: [UInt8]?, _ work: CommitWork
    ) throws(FileError) {
        let branch = try branch(label, mayBlock: true)
        guard let origin = history.read({ $0.record(ofLabel: source) }) else {
            throw .label(.unknown, source)
        }
        let version = TreeVersion(
            root: TreeRoot(pointer: origin.root, height: Int(origin.height)), queue: reclaimQueue)
        let left = Branch(
            volume: self, label: keeping, isMutable: false, record: branch.record)
        let view = BelowView(frozen: [], version: version, freezeCount: 0)
        try switchNodes(of: branch, to: view) { () -> Void in
            branch.freeze()
            changed.remove(branch)
            left.takeOver(branch)
            branch.version = version
            branch.freezeCount += 1
        }
        // From here on there is no way back.
        let fork = addFork(of: origin, work)
        branch.record = fork
        branch.size = BranchSize(treeSize(fork))
        if branch.size.now == nil { branch.size.mark(fork.generation) }
        work.detached = left
        work.rollback = (
            label: LabelRecord(generation: fork.generation, flags: LabelRecord.flagMutable),
            kept: LabelRecord(generation: left.record.generation, flags: 0)
        )
    }

    /// Moves the labels, before anything advances.
    func moveLabels(_ work: CommitWork) throws(FileError) {
        guard let rollback = work.rollback, let left = work.detached,
            case .rollback(let label, _, _)? = work.requests.first?.changes.first
        else { return }
        try setLabel(label, rollback.label, time: nil, work)
        if let keeping = left.label { try setLabel(keeping, rollback.kept, time: now(), work) }
        do throws(FileError) {
            try lock.locked { branches[label] }?.recoverClears()
        } catch {
            log("removed files of a branch that went back keep their data: \(error)")
        }
    }

    /// Those who still read what the branch was keep everything that is retired later alive.
    func finishRollback(_ label: [UInt8], _ work: CommitWork) throws(FileError) {
        guard let left = work.detached, let branch = lock.locked({ branches[label] }) else {
            return
        }
        let next = branch.lock.locked { branch.version.bag }
        left.lock.locked { left.version }.bag.close([], next: next, holding: droppedBag)
    }

    /// Finds for each file that somebody refers to what it is in another tree, then calls `body` and
    /// makes it so, both under the branch's lock.
    private func switchNodes(
        of branch: Branch, to view: BelowView, _ body: () -> Void
    ) throws(FileError) {
        var found = FoundNodes()
        while true {
            branch.lock.lock()
            let missing = branch.nodes.values.map { (node: $0, key: $0.key) }
                .filter { found[ObjectIdentifier($0.node)]?.key != $0.key }
            if missing.isEmpty {
                defer { branch.lock.unlock() }
                body()
                branch.settleNodes(found)
                return
            }
            branch.lock.unlock()
            for (node, key) in missing {
                found[ObjectIdentifier(node)] = try find(node, key, in: branch, view)
            }
        }
    }

    /// What a file is in another tree, by its number where it has several names in either, else by
    /// its name.
    private func find(
        _ node: FileNode, _ key: Key, in branch: Branch, _ view: BelowView
    ) throws(FileError) -> FoundNode {
        let inode = try entry(Key.inode(node.qidPath), of: node, in: branch, view)
        if let inode { return FoundNode(node: node, key: key, entry: inode, isLinked: true) }
        let nameKey =
            key.bytes.first == KeyKind.entry.rawValue
            ? key : branch.lock.locked { FileNode.nameKey(node.parent, node.name) }
        let entry = try entry(nameKey, of: node, in: branch, view)
        return FoundNode(node: node, key: key, entry: entry, isLinked: false)
    }

    private func entry(
        _ key: Key, of node: FileNode, in branch: Branch, _ view: BelowView
    ) throws(FileError) -> DirectoryEntry? {
        guard !(key.bytes.first == KeyKind.inode.rawValue && !isPosix),
            let value = try branch.valueBelow(key, view, mayBlock: true),
            value.withUnsafeBytes({ LinkRecord($0) }) == nil
        else { return nil }
        let entry = try branch.decodeEntry(value)
        return entry.qidPath == node.qidPath ? entry : nil
    }
}

/// What a file is in another tree; nil where it is not there under its name.
private struct FoundNode {
    /// Held, so that no other node takes its identity.
    let node: FileNode
    let key: Key
    let entry: DirectoryEntry?
    let isLinked: Bool
}

private typealias FoundNodes = [ObjectIdentifier: FoundNode]

extension Branch {
    /// Takes everything from a branch that goes elsewhere. The other's lock is held.
    fileprivate func takeOver(_ other: Branch) {
        frozen = other.frozen
        other.frozen = []
        version = other.version
        working = other.working
        other.working = nil
        kills = other.kills
        other.kills = [:]
        size = other.size
        other.clears = [:]
        other.staged = []
        other.switchCount += 1
    }

    /// Makes every node what it is in the tree that the branch has gone to; those that are not there
    /// are gone, with their contents. Lock held.
    fileprivate func settleNodes(_ found: FoundNodes) {
        // By what they were before any of them is marked.
        let lost = nodes.values.filter { $0.isRemoved || isLostAbove($0, found) }
        for node in lost { node.isRemoved = true }
        for node in nodes.values {
            let found = found[ObjectIdentifier(node)]
            if let entry = found?.entry, !node.isRemoved {
                node.entry = entry
                if entry.posix == nil {
                    node.entry.posix = posixPart(at: entry.modificationTime)
                }
                node.holes = FileNode.holes(node.entry)
                node.hasNoCapability = false
                node.isLinked = found?.isLinked ?? false
            } else {
                node.isRemoved = true
                node.isLost = true
                // Whoever finds the file under another name gets another node.
                nodes[node.qidPath] = nil
            }
            node.hasCleanTail = false
            node.createdAtFreeze = nil
        }
        tell(.everything, as: Caller(user: .none))
    }

    private func isLostAbove(_ node: FileNode, _ found: FoundNodes) -> Bool {
        // Where it was first found is not its only place.
        if found[ObjectIdentifier(node)]?.isLinked ?? false { return false }
        var parent = node.parent
        while let above = parent {
            if above.isRemoved || found[ObjectIdentifier(above)]?.entry == nil { return true }
            parent = above.parent
        }
        return false
    }
}
