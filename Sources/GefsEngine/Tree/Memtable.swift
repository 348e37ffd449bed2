import GefsFormat

/// An ordered table in memory: what changed in a tree since it was last written.
///
/// A skip list in slabs: a put costs O(log n), nodes never move, so cursors stay usable. An entry
/// is never taken out: removal is a state, and whether the key was present below when it was first
/// touched is kept with it.
///
/// Not thread-safe: the owner locks while it changes; immutable once frozen.
final class Memtable: @unchecked Sendable {
    /// What the table knows of a key.
    enum Found {
        case absent
        case removed
        case value(UnsafeRawBufferPointer)
    }

    /// One entry of an iteration; `state` is never `absent`.
    struct Item {
        let key: UnsafeRawBufferPointer
        let state: Found
    }

    /// A place between entries: the entry that comes next.
    struct Cursor {
        fileprivate var node: UnsafeMutableRawPointer?
    }

    private enum Layout {
        static let value = 0
        static let keyBytes = 8
        static let valueBytes = 10
        static let valueCapacity = 12
        static let height = 14
        static let flags = 15
        static let links = 16
    }

    private enum Flags {
        static let removed: UInt8 = 1
        static let presentBelow: UInt8 = 2
    }

    private static let heightMax = 20

    private var slabs = Slabs()
    private let head: UnsafeMutableRawPointer
    private var height = 1
    private var random: UInt64 = 0x9E37_79B9_7F4A_7C15
    /// Entries, removed ones included.
    private(set) var count = 0

    /// Memory taken, in bytes.
    var byteCount: Int { count == 0 ? 0 : slabs.usedBytes }

    init() {
        head = slabs.allocate(Layout.links + 8 * Self.heightMax)
        for level in 0..<Self.heightMax { Self.setNext(head, level, nil) }
        head.storeBytes(of: 0, toByteOffset: Layout.keyBytes, as: UInt16.self)
    }

    // MARK: Reading

    func lookup(_ key: UnsafeRawBufferPointer) -> Found {
        guard count > 0, let node = firstNode(notBelow: key), Self.compare(node, height(node), key) == 0
        else { return .absent }
        return state(node)
    }

    /// A cursor in front of the first entry that is not below `key`.
    func seek(_ key: UnsafeRawBufferPointer) -> Cursor {
        Cursor(node: count == 0 ? nil : firstNode(notBelow: key))
    }

    /// A cursor in front of everything.
    func seekFirst() -> Cursor {
        Cursor(node: Self.next(head, 0))
    }

    /// The entry behind the cursor, which moves on.
    func next(_ cursor: inout Cursor) -> Item? {
        guard let node = cursor.node else { return nil }
        cursor.node = Self.next(node, 0)
        return Item(key: Self.key(node, height(node)), state: state(node))
    }

    /// Whether the key of the entry behind the cursor was present below at the first touch.
    private func wasPresentBelow(_ node: UnsafeMutableRawPointer) -> Bool {
        flags(node) & Flags.presentBelow != 0
    }

    // MARK: Changing

    /// Sets the value of a key. `presentBelow` counts at the first touch only.
    func put(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, presentBelow: Bool
    ) {
        let node = place(key, presentBelow: presentBelow)
        let capacity = Int(node.load(fromByteOffset: Layout.valueCapacity, as: UInt16.self))
        if capacity < value.count {
            node.storeBytes(of: slabs.allocate(value.count), toByteOffset: Layout.value, as: UnsafeMutableRawPointer.self)
            node.storeBytes(of: UInt16(value.count), toByteOffset: Layout.valueCapacity, as: UInt16.self)
        }
        node.storeBytes(of: UInt16(value.count), toByteOffset: Layout.valueBytes, as: UInt16.self)
        if let source = value.baseAddress, value.count > 0 {
            valuePointer(node).copyMemory(from: source, byteCount: value.count)
        }
        setFlags(node, flags(node) & ~Flags.removed)
    }

    /// Marks a key as removed. `presentBelow` counts at the first touch only.
    func remove(_ key: UnsafeRawBufferPointer, presentBelow: Bool) {
        let node = place(key, presentBelow: presentBelow)
        setFlags(node, flags(node) | Flags.removed)
    }

    /// The node of a key, made if there is none.
    private func place(
        _ key: UnsafeRawBufferPointer, presentBelow: Bool
    ) -> UnsafeMutableRawPointer {
        withUnsafeTemporaryAllocation(
            of: UnsafeMutableRawPointer.self, capacity: Self.heightMax
        ) { before in
            var node = head
            var level = height - 1
            var last: UnsafeMutableRawPointer?
            while level >= 0 {
                while let next = Self.next(node, level), next != last {
                    let order = Self.compare(next, height(next), key)
                    if order == 0 { return next }
                    if order > 0 {
                        last = next
                        break
                    }
                    node = next
                }
                before[level] = node
                level -= 1
            }
            let levels = randomHeight()
            while height < levels {
                before[height] = head
                height += 1
            }
            let new = make(key, levels, presentBelow)
            for level in 0..<levels {
                Self.setNext(new, level, Self.next(before[level], level))
                Self.setNext(before[level], level, new)
            }
            count += 1
            return new
        }
    }

    private func make(
        _ key: UnsafeRawBufferPointer, _ levels: Int, _ presentBelow: Bool
    ) -> UnsafeMutableRawPointer {
        let node = slabs.allocate(Layout.links + 8 * levels + key.count)
        node.storeBytes(of: UInt16(key.count), toByteOffset: Layout.keyBytes, as: UInt16.self)
        node.storeBytes(of: 0, toByteOffset: Layout.valueBytes, as: UInt16.self)
        node.storeBytes(of: 0, toByteOffset: Layout.valueCapacity, as: UInt16.self)
        node.storeBytes(of: UInt8(levels), toByteOffset: Layout.height, as: UInt8.self)
        setFlags(node, presentBelow ? Flags.presentBelow : 0)
        if let source = key.baseAddress {
            (node + Layout.links + 8 * levels).copyMemory(from: source, byteCount: key.count)
        }
        return node
    }

    private func randomHeight() -> Int {
        random ^= random << 13
        random ^= random >> 7
        random ^= random << 17
        // A quarter of the nodes of a level reach the next.
        return min(Self.heightMax, 1 + random.trailingZeroBitCount / 2)
    }

    private func firstNode(notBelow key: UnsafeRawBufferPointer) -> UnsafeMutableRawPointer? {
        var node = head
        var level = height - 1
        var last: UnsafeMutableRawPointer?
        while level >= 0 {
            while let next = Self.next(node, level), next != last {
                let order = Self.compare(next, height(next), key)
                if order == 0 { return next }
                if order > 0 {
                    last = next
                    break
                }
                node = next
            }
            level -= 1
        }
        return Self.next(node, 0)
    }

    // MARK: Node fields

    @inline(__always)
    private static func next(_ node: UnsafeMutableRawPointer, _ level: Int) -> UnsafeMutableRawPointer? {
        node.load(fromByteOffset: Layout.links + 8 * level, as: UnsafeMutableRawPointer?.self)
    }

    @inline(__always)
    private static func setNext(
        _ node: UnsafeMutableRawPointer, _ level: Int, _ next: UnsafeMutableRawPointer?
    ) {
        node.storeBytes(
            of: next, toByteOffset: Layout.links + 8 * level, as: UnsafeMutableRawPointer?.self)
    }

    @inline(__always)
    private static func key(_ node: UnsafeMutableRawPointer, _ height: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(
            start: node + Layout.links + 8 * height,
            count: Int(node.load(fromByteOffset: Layout.keyBytes, as: UInt16.self)))
    }

    @inline(__always)
    private static func compare(
        _ node: UnsafeMutableRawPointer, _ height: Int, _ key: UnsafeRawBufferPointer
    ) -> Int {
        compareKeys(self.key(node, height), key)
    }

    @inline(__always)
    private func height(_ node: UnsafeMutableRawPointer) -> Int {
        Int(node.load(fromByteOffset: Layout.height, as: UInt8.self))
    }

    @inline(__always)
    private func flags(_ node: UnsafeMutableRawPointer) -> UInt8 {
        node.load(fromByteOffset: Layout.flags, as: UInt8.self)
    }

    @inline(__always)
    private func setFlags(_ node: UnsafeMutableRawPointer, _ flags: UInt8) {
        node.storeBytes(of: flags, toByteOffset: Layout.flags, as: UInt8.self)
    }

    private func valuePointer(_ node: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        node.load(fromByteOffset: Layout.value, as: UnsafeMutableRawPointer.self)
    }

    private func state(_ node: UnsafeMutableRawPointer) -> Found {
        if flags(node) & Flags.removed != 0 { return .removed }
        let count = Int(node.load(fromByteOffset: Layout.valueBytes, as: UInt16.self))
        guard count > 0 else { return .value(UnsafeRawBufferPointer(start: nil, count: 0)) }
        return .value(UnsafeRawBufferPointer(start: valuePointer(node), count: count))
    }
}

extension Memtable {
    /// The message that brings an entry into the tree; nil where there is nothing to say.
    private func message(_ node: UnsafeMutableRawPointer) -> MessageView? {
        let key = Self.key(node, height(node))
        switch state(node) {
        case .absent: return nil
        case .value(let value): return MessageView(kind: .insert, key: key, payload: value)
        case .removed:
            guard wasPresentBelow(node) else { return nil }
            let kind: MessageKind =
                switch key.first {
                case KeyKind.data.rawValue: .clearb
                case KeyKind.entry.rawValue, KeyKind.up.rawValue: .clobber
                default: .delete
                }
            return MessageView(
                kind: kind, key: key, payload: UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// All changes as one batch, joined by pointers of written data, which win over what the table
    /// holds for the same key: a removal of it is always older.
    ///
    /// - Parameter data: in the order of their keys.
    func makeBatch(
        addingData data: [(qid: UInt64, index: UInt64, pointer: BlockPointer)] = []
    ) -> MessageBatch {
        let batch = MessageBatch(capacity: count + data.count)
        batch.keep(self)
        let keyBytes = 17
        let recordBytes = keyBytes + BlockPointer.byteCount
        let space = batch.allocate(data.count * recordBytes)
        var node = Self.next(head, 0)
        for (position, item) in data.enumerated() {
            let record = space.baseAddress.unsafelyUnwrapped + position * recordBytes
            record.storeBytes(of: KeyKind.data.rawValue, as: UInt8.self)
            record.storeBigEndian(item.qid, at: 1)
            record.storeBigEndian(item.index &* UInt64(Geometry.blockBytes), at: 9)
            item.pointer.encode(into: record + keyBytes)
            let key = UnsafeRawBufferPointer(start: record, count: keyBytes)
            while let entry = node {
                let order = compareKeys(Self.key(entry, height(entry)), key)
                if order > 0 { break }
                if order < 0, let message = message(entry) { batch.append(message) }
                node = Self.next(entry, 0)
            }
            batch.append(
                MessageView(
                    kind: .insert, key: key,
                    payload: UnsafeRawBufferPointer(
                        start: record + keyBytes, count: BlockPointer.byteCount)))
        }
        while let entry = node {
            if let message = message(entry) { batch.append(message) }
            node = Self.next(entry, 0)
        }
        return batch
    }
}

/// Memory that is handed out piece by piece and given back all at once.
struct Slabs: ~Copyable {
    private var slabs: [UnsafeMutableRawPointer] = []
    private var next: UnsafeMutableRawPointer?
    private var rest = 0
    private(set) var usedBytes = 0

    /// Bytes of a slab; the first ones are smaller, since most tables stay small.
    private static let slabBytesMax = 1 << 18

    init() {}

    deinit {
        for slab in slabs { slab.deallocate() }
    }

    /// Memory aligned to 8 bytes.
    mutating func allocate(_ byteCount: Int) -> UnsafeMutableRawPointer {
        let size = (byteCount + 7) & ~7
        if size > rest {
            let slabBytes = max(size, min(Self.slabBytesMax, 2048 << min(slabs.count, 8)))
            let slab = UnsafeMutableRawPointer.allocate(byteCount: slabBytes, alignment: 16)
            slabs.append(slab)
            next = slab
            rest = slabBytes
        }
        let piece = next.unsafelyUnwrapped
        next = piece + size
        rest -= size
        usedBytes += size
        return piece
    }
}
