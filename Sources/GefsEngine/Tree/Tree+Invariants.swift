import GefsFormat

extension Tree {
    /// What a tree is for, which decides the keys it may hold. Source: FORMAT 7.
    enum Purpose: Sendable {
        /// Files of one snapshot.
        case files
        /// Labels, snapshots and deadlists.
        case snapshots

        fileprivate func allows(_ kind: KeyKind) -> Bool {
            switch (self, kind) {
            case (.files, .data), (.files, .entry), (.files, .up), (.files, .inode),
                (.files, .link),
                (.files, .attribute):
                true
            case (.snapshots, .label), (.snapshots, .snapshot), (.snapshots, .deadlist): true
            case (_, .config): true
            default: false
            }
        }
    }

    /// A tree that is not as it has to be.
    struct Defect: Error, Hashable {
        enum Reason: Hashable {
            /// The node cannot be read.
            case unreadable(ReadError)
            /// The node's bytes are wrong in themselves, or its kind does not fit its height.
            case corrupt(CorruptBlock)
            /// The parent states another fill.
            case fill(stated: Int, found: Int)
            /// A key or message outside the range that the parents allow.
            case outsideRange(key: [UInt8])
            /// A key that trees of this purpose do not hold.
            case foreignKey([UInt8])
            /// A pivot with one child.
            case singleChild
            /// A pivot too full for upstream to split.
            case noHeadRoom(entryBytes: Int)
        }

        /// The node.
        let address: BlockAddress
        /// What is wrong.
        let reason: Reason
    }

    /// Checks everything that FORMAT 6.2 demands of a tree, and the sizes of FORMAT 6.6.
    ///
    /// Reads every node. For tests, and for debug builds after changes.
    ///
    /// - Throws: the first defect found.
    static func checkInvariants<Source: NodeSource>(
        _ root: TreeRoot, source: Source, purpose: Purpose
    ) throws(Defect) {
        do throws(ReadError) {
            try checkHeight(root)
        } catch {
            throw Defect(address: root.pointer.address, reason: .unreadable(error))
        }
        let walk = InvariantWalk(source: source, purpose: purpose)
        try walk.check(root.pointer, height: root.height, fill: nil, from: nil, before: nil)
    }
}

private struct InvariantWalk<Source: NodeSource> {
    let source: Source
    let purpose: Tree.Purpose

    func check(
        _ pointer: BlockPointer, height: Int, fill: Int?, from start: UnsafeRawBufferPointer?,
        before end: UnsafeRawBufferPointer?
    ) throws(Tree.Defect) {
        let node = try read(pointer, height: height)
        if height == 1 {
            let leaf = LeafView(unchecked: node.base)
            try checkFill(pointer, fill, leaf.fill)
            for index in 0..<leaf.count {
                try checkKey(pointer, leaf.key(index), from: start, before: end)
            }
        } else {
            let pivot = PivotView(unchecked: node.base)
            try checkFill(pointer, fill, pivot.fill)
            try checkPivot(pointer, pivot, from: start, before: end)
            for index in 0..<pivot.childCount {
                let next = index + 1 < pivot.childCount ? pivot.key(index + 1) : end
                try check(
                    pivot.pointer(index), height: height - 1, fill: pivot.childFill(index),
                    from: pivot.key(index), before: next)
            }
        }
        withExtendedLifetime(node) {}
    }

    private func read(_ pointer: BlockPointer, height: Int) throws(Tree.Defect) -> BlockBuffer {
        do throws(ReadError) {
            let node = try Tree.readNode(
                pointer, height: height, from: source, mayBlock: true)
            // Nodes that were just built come from memory, without a check.
            try checkBytes(node, pointer)
            return node
        } catch {
            throw Tree.Defect(address: pointer.address, reason: .unreadable(error))
        }
    }

    private func checkBytes(_ node: BlockBuffer, _ pointer: BlockPointer) throws(ReadError) {
        do throws(CorruptBlock) {
            try NodeCheck.check(node.bytes, at: pointer.address)
        } catch {
            throw .corrupt(error)
        }
    }

    private func checkFill(
        _ pointer: BlockPointer, _ stated: Int?, _ found: Int
    ) throws(Tree.Defect) {
        guard let stated, stated != found else { return }
        throw Tree.Defect(
            address: pointer.address, reason: .fill(stated: stated, found: found))
    }

    private func checkPivot(
        _ pointer: BlockPointer, _ pivot: PivotView, from start: UnsafeRawBufferPointer?,
        before end: UnsafeRawBufferPointer?
    ) throws(Tree.Defect) {
        guard pivot.childCount > 1 else {
            throw Tree.Defect(address: pointer.address, reason: .singleChild)
        }
        let entryBytes = pivot.childBytes + Geometry.tableEntryBytes * pivot.childCount
        guard entryBytes <= NodeLimits.pivotEntryBytes else {
            throw Tree.Defect(
                address: pointer.address, reason: .noHeadRoom(entryBytes: entryBytes))
        }
        // Separators need not be keys of anything, so only their range matters.
        for index in 0..<pivot.childCount {
            try checkRange(pointer, pivot.key(index), from: start, before: end)
        }
        for index in 0..<pivot.messageCount {
            try checkKey(pointer, pivot.messageKey(index), from: start, before: end)
        }
    }

    private func checkKey(
        _ pointer: BlockPointer, _ key: UnsafeRawBufferPointer,
        from start: UnsafeRawBufferPointer?, before end: UnsafeRawBufferPointer?
    ) throws(Tree.Defect) {
        guard let kind = KeyKind(rawValue: key[0]), purpose.allows(kind) else {
            throw Tree.Defect(address: pointer.address, reason: .foreignKey(Array(key)))
        }
        try checkRange(pointer, key, from: start, before: end)
    }

    private func checkRange(
        _ pointer: BlockPointer, _ key: UnsafeRawBufferPointer,
        from start: UnsafeRawBufferPointer?, before end: UnsafeRawBufferPointer?
    ) throws(Tree.Defect) {
        let isBelow = start.map { compareKeys(key, $0) < 0 } ?? false
        let isBehind = end.map { compareKeys(key, $0) >= 0 } ?? false
        if isBelow || isBehind {
            throw Tree.Defect(address: pointer.address, reason: .outsideRange(key: Array(key)))
        }
    }
}
