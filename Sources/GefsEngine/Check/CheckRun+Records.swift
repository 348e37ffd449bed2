import GefsFormat

/// The records of one node.
extension CheckRun {
    /// Checks keys and messages: kinds, sizes, order, range.
    ///
    /// - Returns: the lowest and the highest key. There is at least one.
    func checkRecords(
        _ node: NodeScan, _ pointer: BlockPointer, _ bounds: NodeBounds
    ) -> (low: UnsafeRawBufferPointer, high: UnsafeRawBufferPointer) {
        var low = node.key(0)
        var high = low
        var previous: UnsafeRawBufferPointer?
        for index in 0..<node.count {
            let key = node.key(index)
            checkKey(key, valueBytes: node.value(behind: key).count, pointer)
            if let previous, compareKeys(previous, key) >= 0 {
                fault(.node(pointer.address, walk.tree, .keyOrder(index: index, Key(key))))
            }
            previous = key
            if compareKeys(key, high) > 0 { high = key }
            if compareKeys(key, low) < 0 { low = key }
        }
        previous = nil
        for index in 0..<node.messageCount {
            let key = node.messageKey(index)
            checkKey(key, valueBytes: node.value(behind: key).count, pointer)
            let kind = node.messageKind(index)
            if MessageKind(rawValue: kind) == nil {
                fault(.node(pointer.address, walk.tree, .messageKind(index: index, kind)))
            }
            if let previous, compareKeys(previous, key) > 0 {
                fault(.node(pointer.address, walk.tree, .messageOrder(index: index, Key(key))))
            }
            previous = key
            if compareKeys(key, high) > 0 { high = key }
            if compareKeys(key, low) < 0 { low = key }
        }
        if !bounds.contains(low) || !bounds.contains(high) {
            reportKeys(of: node, outside: bounds, pointer)
        }
        return (low, high)
    }

    private func checkKey(
        _ key: UnsafeRawBufferPointer, valueBytes: Int, _ pointer: BlockPointer
    ) {
        if !isAtHome(key) {
            fault(.node(pointer.address, walk.tree, .foreignKey(Key(key))))
        }
        let keyBytesMax = isPosix ? Geometry.posixKeyBytesMax : Geometry.keyBytesMax
        if key.count > keyBytesMax || valueBytes > Geometry.valueBytesMax {
            fault(
                .node(pointer.address, walk.tree, .oversized(Key(key), valueBytes: valueBytes)))
        }
    }

    /// Whether keys of this kind belong into the tree.
    private func isAtHome(_ key: UnsafeRawBufferPointer) -> Bool {
        guard let first = key.first, let kind = KeyKind(rawValue: first) else { return false }
        switch kind {
        case .data, .entry, .up: return !walk.isSnapshotTree
        case .inode, .link, .attribute: return !walk.isSnapshotTree && isPosix
        case .label, .snapshot, .deadlist: return walk.isSnapshotTree
        case .config: return true
        }
    }

    private func reportKeys(
        of node: NodeScan, outside bounds: NodeBounds, _ pointer: BlockPointer
    ) {
        for index in 0..<node.count where !bounds.contains(node.key(index)) {
            fault(.node(pointer.address, walk.tree, .range(Key(node.key(index)))))
        }
        for index in 0..<node.messageCount where !bounds.contains(node.messageKey(index)) {
            fault(.node(pointer.address, walk.tree, .range(Key(node.messageKey(index)))))
        }
    }

    // MARK: data blocks

    /// Claims the blocks that the node refers to: every pointer keeps its block, also one that a
    /// buffered message overrides.
    func claimData(of node: NodeScan, _ number: NodeNumber) {
        forEachDataPointer(in: node) { pointer, qid, offset in
            claimData(pointer, qid: qid, offset: offset, number)
        }
    }

    private func forEachDataPointer(
        in node: NodeScan, _ body: (BlockPointer, _ qid: UInt64, _ offset: UInt64) -> Void
    ) {
        if node.isLeaf {
            for index in 0..<node.count {
                let key = node.key(index)
                guard let data = DataKey(key) else { continue }
                let value = node.value(behind: key)
                guard value.count == BlockPointer.byteCount, let base = value.baseAddress else {
                    continue
                }
                body(BlockPointer(decoding: base), data.qid, data.offset)
            }
        }
        for index in 0..<node.messageCount
        where node.messageKind(index) == MessageKind.insert.rawValue {
            let key = node.messageKey(index)
            guard let data = DataKey(key) else { continue }
            let value = node.value(behind: key)
            guard value.count == BlockPointer.byteCount, let base = value.baseAddress else {
                continue
            }
            body(BlockPointer(decoding: base), data.qid, data.offset)
        }
    }

    private func claimData(
        _ pointer: BlockPointer, qid: UInt64, offset: UInt64, _ node: NodeNumber
    ) {
        func use() -> BlockUse { .data(pointer, qid: qid, offset: offset) }
        guard let block = arenas.block(at: pointer.address) else {
            return fault(.block(pointer.address, use(), .outside))
        }
        if free[block] { fault(.block(pointer.address, use(), .markedFree)) }
        let birth = UInt32(truncatingIfNeeded: pointer.generation.rawValue)
        let entry = BlockOwners.Entry(
            hash: pointer.hash, birth: birth, owner: node,
            identity: DataKey.identity(qid: qid, offset: offset), role: .data)
        if let first = owners.claim(block, entry) {
            if first.role != .data || first.hash != entry.hash || first.identity != entry.identity {
                let first = firstUse(of: block, first)
                fault(.block(pointer.address, use(), .usedTwice(first: first)))
            } else if first.birth != birth {
                let fault = BlockFault.births(found: pointer.generation, first: first.birth)
                self.fault(.block(pointer.address, use(), fault))
            } else {
                checkInherited(data: pointer, owner: first.owner, use())
            }
        } else {
            checkBirth(pointer, use())
            checkOwn(pointer, use())
        }
        if dead[block] { deadReferences.append(DeadReference(block: block, node: node)) }
    }

    /// Reports a block that is younger than the disk.
    func checkBirth(_ pointer: BlockPointer, _ use: @autoclosure () -> BlockUse) {
        let next = superblock.nextGeneration
        guard !pointer.generation.isNone, pointer.generation >= next else { return }
        fault(.block(pointer.address, use(), .bornInFuture(pointer.generation, next: next)))
    }

    /// What a block was first seen to be used for, for a report that it is used twice.
    func firstUse(of block: Int, _ entry: BlockOwners.Entry) -> BlockUse {
        use(of: block, entry, isDetailed: log.wants("block.usedTwice"))
    }

    /// What a block was first seen to be used for.
    ///
    /// - Parameter isDetailed: whether file and offset are worth reading the node for.
    func use(of block: Int, _ entry: BlockOwners.Entry, isDetailed: Bool) -> BlockUse {
        let address = BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes))
        let unknown = BlockPointer(
            address: address, hash: entry.hash,
            generation: Generation(rawValue: UInt64(entry.birth)))
        switch entry.role {
        case .none, .node:
            return .node(unknown)
        case .deadlist:
            return .deadlist(deadlists[Int(entry.owner)].name)
        case .allocationLog:
            return .allocationLog(arena: Int(entry.owner))
        case .data:
            var found = BlockUse.data(unknown, qid: .max, offset: .max)
            if isDetailed, let page = page(entry.owner) {
                forEachDataPointer(in: page.node) { pointer, qid, offset in
                    guard pointer.address == address, pointer.hash == entry.hash,
                        DataKey.identity(qid: qid, offset: offset) == entry.identity
                    else { return }
                    found = .data(pointer, qid: qid, offset: offset)
                }
            }
            return found
        }
    }
}

/// The key of a file's block, taken apart without copies.
struct DataKey {
    // swift-format-ignore
    private enum Layout {
        static let qid       = 1
        static let offset    = 9
        static let byteCount = 17
    }

    let qid: UInt64
    let offset: UInt64

    /// - Returns: `nil` when the key is none.
    @inline(__always)
    init?(_ key: UnsafeRawBufferPointer) {
        guard key.count == Layout.byteCount, let base = key.baseAddress,
            base.load(as: UInt8.self) == KeyKind.data.rawValue
        else { return nil }
        qid = base.loadBigEndian(at: Layout.qid, as: UInt64.self)
        offset = base.loadBigEndian(at: Layout.offset, as: UInt64.self)
    }

    /// 32 bits that tell places in files apart.
    @inline(__always)
    static func identity(qid: UInt64, offset: UInt64) -> UInt32 {
        let mixed =
            (qid &* 0x9e37_79b9_7f4a_7c15)
            ^ (offset &+ 0x6765).multipliedFullWidth(
                by: 0xd6e8_feb8_6659_fd93
            ).high ^ (offset &* 0xff51_afd7_ed55_8ccd)
        return UInt32(truncatingIfNeeded: mixed >> 29) ^ UInt32(truncatingIfNeeded: mixed)
    }
}
