import GefsFormat

/// The first 16 bytes of a key as two numbers that compare like the bytes.
///
/// Kind and qid alone fill nine bytes, so that eight would not tell the blocks of one file apart.
struct KeyHead: Equatable {
    var first: UInt64
    var second: UInt64

    @inline(__always)
    init(_ key: UnsafeRawBufferPointer) {
        if key.count >= 16, let base = key.baseAddress {
            first = base.loadBigEndian(at: 0, as: UInt64.self)
            second = base.loadBigEndian(at: 8, as: UInt64.self)
        } else {
            // Padding with zeros keeps the order; equal heads are told apart by the keys.
            var words: (UInt64, UInt64) = (0, 0)
            withUnsafeMutableBytes(of: &words) { $0.copyMemory(from: key) }
            first = UInt64(bigEndian: words.0)
            second = UInt64(bigEndian: words.1)
        }
    }

    /// Below, equal to or above 0 like the difference of the two.
    @inline(__always)
    func order(_ other: KeyHead) -> Int {
        if first != other.first { return first < other.first ? -1 : 1 }
        if second != other.second { return second < other.second ? -1 : 1 }
        return 0
    }
}

/// A node of a memtable: entries in key order, each a record, and in inner nodes also a child.
///
/// The key of an inner entry is not above any key in its child, except that the first child also
/// takes all keys below. The memory is part of the memtable's slab.
struct MemtableNode: Equatable {
    static let capacity = 48

    private enum Layout {
        static let count = 0
        static let next = 8
        static let heads = 16
        static let records = heads + capacity * MemoryLayout<KeyHead>.stride
        static let leafBytes = records + capacity * MemoryLayout<UnsafeMutableRawPointer>.stride
        static let children = leafBytes
        static let innerBytes = children + capacity * MemoryLayout<UnsafeMutableRawPointer>.stride
    }

    let base: UnsafeMutableRawPointer

    @inline(__always)
    init(base: UnsafeMutableRawPointer) {
        self.base = base
    }

    /// An empty node.
    init(isLeaf: Bool, in slab: inout ByteSlab) {
        base = slab.allocate(isLeaf ? Layout.leafBytes : Layout.innerBytes)
        base.storeBytes(of: 0, toByteOffset: Layout.count, as: Int.self)
        base.storeBytes(of: nil, toByteOffset: Layout.next, as: UnsafeMutableRawPointer?.self)
    }

    @inline(__always)
    var count: Int {
        get { base.load(fromByteOffset: Layout.count, as: Int.self) }
        nonmutating set { base.storeBytes(of: newValue, toByteOffset: Layout.count, as: Int.self) }
    }

    /// The leaf with the keys behind those of this leaf.
    var next: MemtableNode? {
        get {
            base.load(fromByteOffset: Layout.next, as: UnsafeMutableRawPointer?.self)
                .map { MemtableNode(base: $0) }
        }
        nonmutating set {
            base.storeBytes(
                of: newValue?.base, toByteOffset: Layout.next, as: UnsafeMutableRawPointer?.self)
        }
    }

    @inline(__always)
    private var heads: UnsafeMutablePointer<KeyHead> {
        (base + Layout.heads).assumingMemoryBound(to: KeyHead.self)
    }

    @inline(__always)
    private var records: UnsafeMutablePointer<UnsafeMutableRawPointer> {
        (base + Layout.records).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
    }

    @inline(__always)
    private var children: UnsafeMutablePointer<UnsafeMutableRawPointer> {
        (base + Layout.children).assumingMemoryBound(to: UnsafeMutableRawPointer.self)
    }

    @inline(__always)
    func record(_ index: Int) -> MemtableRecord {
        assert(index >= 0 && index < count)
        return MemtableRecord(base: records[index])
    }

    @inline(__always)
    func child(_ index: Int) -> MemtableNode {
        assert(index >= 0 && index < count)
        return MemtableNode(base: children[index])
    }

    /// Below, equal to or above 0 as entry `index` sorts before, with or behind `key`.
    @inline(__always)
    func order(_ index: Int, _ key: UnsafeRawBufferPointer, _ head: KeyHead) -> Int {
        let order = heads[index].order(head)
        return order != 0 ? order : compareKeys(record(index).key, key)
    }

    /// The first entry not below `key`, and whether it has this very key.
    @inline(__always)
    func search(_ key: UnsafeRawBufferPointer, _ head: KeyHead) -> (index: Int, found: Bool) {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) &>> 1
            let order = order(middle, key, head)
            if order == 0 { return (middle, true) }
            if order < 0 { low = middle &+ 1 } else { high = middle }
        }
        return (low, false)
    }

    /// The entry of the child that `key` belongs to.
    @inline(__always)
    func childIndex(for key: UnsafeRawBufferPointer, _ head: KeyHead) -> Int {
        var low = 1
        var high = count
        while low < high {
            let middle = (low &+ high) &>> 1
            if order(middle, key, head) <= 0 { low = middle &+ 1 } else { high = middle }
        }
        return low &- 1
    }

    /// Adds an entry; there must be room. `child` is given in inner nodes only.
    func insert(_ record: MemtableRecord, child: MemtableNode?, at index: Int) {
        let moved = count - index
        assert(count < Self.capacity && moved >= 0)
        (heads + index + 1).update(from: heads + index, count: moved)
        (records + index + 1).update(from: records + index, count: moved)
        heads[index] = KeyHead(record.key)
        records[index] = record.base
        if let child {
            (children + index + 1).update(from: children + index, count: moved)
            children[index] = child.base
        }
        count += 1
    }

    /// Moves the entries from `index` on to the empty node `other`.
    func move(from index: Int, to other: MemtableNode, isLeaf: Bool) {
        let moved = count - index
        other.heads.update(from: heads + index, count: moved)
        other.records.update(from: records + index, count: moved)
        if !isLeaf { other.children.update(from: children + index, count: moved) }
        other.count = moved
        count = index
    }
}
