import GefsFormat

/// One key of a memtable and what became of it.
///
/// The memory is part of the memtable's slab and never moves; key and `isPresentBelow` never
/// change, the value does.
struct MemtableRecord {
    // swift-format-ignore
    private enum Layout {
        static let value         = 0
        static let keyBytes      = 8
        static let valueBytes    = 10
        static let valueCapacity = 12
        static let isRemoved     = 14
        static let presentBelow  = 15
        static let key           = 16
    }

    let base: UnsafeMutableRawPointer

    @inline(__always)
    init(base: UnsafeMutableRawPointer) {
        self.base = base
    }

    /// Makes a record with room for a value of `valueBytes` bytes. It is removed until `set`.
    init(
        key: UnsafeRawBufferPointer, valueBytes: Int, isPresentBelow: Bool, in slab: inout ByteSlab
    ) {
        let keySpace = ByteSlab.rounded(key.count)
        let capacity = ByteSlab.rounded(valueBytes)
        base = slab.allocate(Layout.key + keySpace + capacity)
        base.storeBytes(
            of: base + Layout.key + keySpace, toByteOffset: Layout.value,
            as: UnsafeMutableRawPointer.self)
        store(key.count, at: Layout.keyBytes)
        store(0, at: Layout.valueBytes)
        store(capacity, at: Layout.valueCapacity)
        base.storeBytes(of: 1, toByteOffset: Layout.isRemoved, as: UInt8.self)
        base.storeBytes(
            of: isPresentBelow ? 1 : 0, toByteOffset: Layout.presentBelow, as: UInt8.self)
        base.storeBytes(of: key, at: Layout.key)
    }

    @inline(__always)
    var key: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base + Layout.key, count: load(at: Layout.keyBytes))
    }

    @inline(__always)
    var isRemoved: Bool { base.load(fromByteOffset: Layout.isRemoved, as: UInt8.self) != 0 }

    @inline(__always)
    var isPresentBelow: Bool {
        base.load(fromByteOffset: Layout.presentBelow, as: UInt8.self) != 0
    }

    @inline(__always)
    var state: Memtable.Found {
        isRemoved ? .removed : .value(value)
    }

    /// The value; without meaning while removed.
    @inline(__always)
    var value: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: valueBase, count: load(at: Layout.valueBytes))
    }

    /// Sets the value, in place if it fits, so that repeated changes cost no memory.
    func set(_ value: UnsafeRawBufferPointer, in slab: inout ByteSlab) {
        if value.count > load(at: Layout.valueCapacity) {
            let capacity = ByteSlab.rounded(value.count)
            base.storeBytes(
                of: slab.allocate(capacity), toByteOffset: Layout.value,
                as: UnsafeMutableRawPointer.self)
            store(capacity, at: Layout.valueCapacity)
        }
        valueBase.storeBytes(of: value, at: 0)
        store(value.count, at: Layout.valueBytes)
        base.storeBytes(of: 0, toByteOffset: Layout.isRemoved, as: UInt8.self)
    }

    func remove() {
        base.storeBytes(of: 1, toByteOffset: Layout.isRemoved, as: UInt8.self)
    }

    private var valueBase: UnsafeMutableRawPointer {
        base.load(fromByteOffset: Layout.value, as: UnsafeMutableRawPointer.self)
    }

    @inline(__always)
    private func load(at offset: Int) -> Int {
        Int(base.load(fromByteOffset: offset, as: UInt16.self))
    }

    @inline(__always)
    private func store(_ number: Int, at offset: Int) {
        base.storeBytes(
            of: UInt16(truncatingIfNeeded: number), toByteOffset: offset, as: UInt16.self)
    }
}
