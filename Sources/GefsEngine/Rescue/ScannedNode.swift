import GefsFormat

/// Names a block that looks like a tree node within one rescue.
typealias ScannedNumber = UInt32

/// A block that has the form of a tree node, wherever it was found: 40 bytes.
///
/// That it has the form says little: a block vouches for nothing but what it points to. See
/// `ScannedNodes` for what makes it believed.
struct ScannedNode {
    /// What is known about a block.
    struct Flags: OptionSet {
        let rawValue: UInt8
        /// A leaf; else it is a pivot.
        static let leaf = Flags(rawValue: 1)
        /// A node of the snapshot tree: its keys are labels, snapshots and deadlists.
        static let snapshots = Flags(rawValue: 2)
        /// Another node that is believed names this very block with the right hash.
        static let vouched = Flags(rawValue: 4)
        /// It names at least one other block with the right hash, which no other bytes can.
        static let evident = Flags(rawValue: 8)
        /// A snapshot record names it as the root of a tree.
        static let root = Flags(rawValue: 32)
        /// It has keys or entries that only volumes with the feature `posix` have.
        static let posix = Flags(rawValue: 64)
        /// A file's data by what a believed node says, and so no node of this volume.
        static let data = Flags(rawValue: 16)
    }

    /// The block's number, counted from the start of the grid that blocks lie on.
    var block: UInt64
    /// Hash of the whole block.
    var hash: UInt64
    /// The newest generation among the blocks it points to; the node itself is no older.
    var newestGeneration: UInt64
    /// The latest time of modification among its directory entries, nanoseconds since 1970.
    var newestTime: Int64
    var flags: Flags

    var isLeaf: Bool { flags.contains(.leaf) }

    /// Whether what it holds may be used without being asked for.
    var isBelieved: Bool {
        !flags.isDisjoint(with: [.vouched, .evident]) && !flags.contains(.data)
    }
}

extension ScannedNode {
    /// Looks at a block that may be a node.
    ///
    /// - Returns: nil unless it has the form of one.
    init?(_ bytes: UnsafeRawBufferPointer, block: UInt64) {
        guard let base = bytes.baseAddress else { return nil }
        let kind = base.loadBigEndian(at: 0, as: UInt16.self)
        guard kind == BlockKind.leaf.rawValue || kind == BlockKind.pivot.rawValue,
            (try? NodeCheck.check(bytes, at: .none)) != nil
        else { return nil }
        self.block = block
        hash = MetroHash64.hash(bytes)
        newestGeneration = 0
        newestTime = .min
        flags = kind == BlockKind.leaf.rawValue ? .leaf : []
        if isLeaf {
            let leaf = LeafView(unchecked: base)
            for index in 0..<leaf.count {
                let key = leaf.key(index)
                note(key, leaf.value(index))
            }
        } else {
            let pivot = PivotView(unchecked: base)
            for index in 0..<pivot.childCount { note(pivot.pointer(index).generation) }
            for index in 0..<pivot.messageCount {
                let message = pivot.message(index)
                if message.kind == .insert {
                    note(message.key, message.payload)
                } else {
                    noteKind(of: message.key)
                }
            }
            noteKind(of: pivot.key(pivot.childCount - 1))
        }
    }

    private mutating func note(_ generation: Generation) {
        guard !generation.isNone else { return }
        newestGeneration = max(newestGeneration, generation.rawValue)
    }

    private mutating func noteKind(of key: UnsafeRawBufferPointer) {
        switch key.first.flatMap(KeyKind.init(rawValue:)) {
        case .label, .snapshot, .deadlist: flags.insert(.snapshots)
        case .inode, .link, .attribute: flags.insert(.posix)
        case .data, .entry, .up, .config, nil: break
        }
    }

    private mutating func note(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
        noteKind(of: key)
        switch key.first.flatMap(KeyKind.init(rawValue:)) {
        case .data:
            if let base = value.baseAddress { note(BlockPointer(decoding: base).generation) }
        case .entry, .inode:
            if let entry = try? DirectoryEntry(decoding: value) {
                if entry.posix != nil { flags.insert(.posix) }
                newestTime = max(newestTime, entry.modificationTime)
            }
        case .snapshot:
            if let record = try? SnapshotRecord(decoding: value) { note(record.generation) }
        case .up, .label, .deadlist, .config, .link, .attribute, nil: break
        }
    }
}
