import GefsFormat

/// Reads blocks through the cache and lets nobody see one that was not verified.
///
/// All operations may be called from any thread. No lock is held during I/O; two threads that miss
/// the same block at once may both read it. A block that is returned stays valid and unchanged for
/// as long as it is referenced.
final class BlockReader: Sendable {
    /// Most blocks that one call reads from the device: 1 MiB.
    static let runBlocksMax = 64

    let device: any BlockDevice
    let cache: BlockCache
    let pool: BlockBufferPool

    init(device: any BlockDevice, cache: BlockCache, pool: BlockBufferPool) {
        self.device = device
        self.cache = cache
        self.pool = pool
    }

    /// The pivot or leaf that `pointer` refers to, with hash and structure checked.
    ///
    /// - Parameter mayBlock: when false, `.wouldBlock` is thrown instead of reading the device.
    func node(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer {
        if let buffer = cache.lookup(pointer, as: .node) { return buffer }
        guard mayBlock else { throw .wouldBlock }
        return try load(pointer, as: .node)
    }

    /// The file data that `pointer` refers to, with its hash checked.
    ///
    /// - Parameter mayBlock: when false, `.wouldBlock` is thrown instead of reading the device.
    func data(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer {
        if let buffer = cache.lookup(pointer, as: .data) { return buffer }
        guard mayBlock else { throw .wouldBlock }
        return try load(pointer, as: .data)
    }

    /// Several blocks of file data, in order. Those that are not in memory and lie behind one
    /// another on the device are read by one call.
    ///
    /// - Parameters:
    ///   - mayBlock: when false, `.wouldBlock` is thrown if any of them is not in memory.
    ///   - caches: what the device is read for is kept for later reads.
    func data(
        run: [BlockPointer], mayBlock: Bool, caches: Bool = true
    ) throws(ReadError) -> [BlockBuffer] {
        var buffers: [BlockBuffer] = []
        buffers.reserveCapacity(run.count)
        var missing: [BlockPointer] = []
        for pointer in run {
            let cached = cache.lookup(pointer, as: .data)
            if let last = missing.last,
                cached != nil || missing.count == Self.runBlocksMax
                    || pointer.address.rawValue != last.address.rawValue + Self.blockBytes
            {
                buffers += try loadData(missing, caches: caches)
                missing.removeAll(keepingCapacity: true)
            }
            if let cached {
                buffers.append(cached)
            } else {
                guard mayBlock else { throw .wouldBlock }
                try checkAddress(pointer, .block(.data))
                missing.append(pointer)
            }
        }
        if !missing.isEmpty { buffers += try loadData(missing, caches: caches) }
        return buffers
    }

    /// Brings file data into the cache for a later read. Errors are left to that read.
    func prefetch(_ run: [BlockPointer]) {
        _ = try? data(run: run, mayBlock: true)
    }

    /// Brings a node into the cache for a later read. Errors are left to that read.
    func prefetchNode(_ pointer: BlockPointer) {
        _ = try? node(pointer, mayBlock: true)
    }

    // MARK: Loading

    private static var blockBytes: UInt64 { UInt64(Geometry.blockBytes) }

    private func load(
        _ pointer: BlockPointer, as role: BlockRole, caches: Bool = true
    ) throws(ReadError) -> BlockBuffer {
        let structure: CorruptBlock.Structure = role == .node ? .node : .block(.data)
        try checkAddress(pointer, structure)
        let buffer = pool.make()
        do throws(DeviceError) {
            try device.read(at: pointer.address.rawValue, into: buffer.mutableBytes)
        } catch {
            throw .device(error)
        }
        try verify(buffer, pointer, structure)
        if role == .node {
            do throws(CorruptBlock) {
                try NodeCheck.check(buffer.bytes, at: pointer.address, expecting: .either)
            } catch {
                throw .corrupt(error)
            }
        }
        if caches { cache.insert(pointer, buffer, as: role) }
        return buffer
    }

    private func loadData(
        _ pointers: [BlockPointer], caches: Bool
    ) throws(ReadError) -> [BlockBuffer] {
        if pointers.count == 1 { return [try load(pointers[0], as: .data, caches: caches)] }
        let buffers = pointers.map { _ in pool.make() }
        do throws(DeviceError) {
            try device.read(
                at: pointers[0].address.rawValue, into: buffers.map { $0.mutableBytes })
        } catch {
            throw .device(error)
        }
        for (pointer, buffer) in zip(pointers, buffers) {
            try verify(buffer, pointer, .block(.data))
            if caches { cache.insert(pointer, buffer, as: .data) }
        }
        return buffers
    }

    private func verify(
        _ buffer: BlockBuffer, _ pointer: BlockPointer, _ structure: CorruptBlock.Structure
    ) throws(ReadError) {
        let found = MetroHash64.hash(buffer.bytes)
        guard found == pointer.hash else {
            throw .corrupt(
                CorruptBlock(
                    pointer.address, structure, .hash(found: found, expected: pointer.hash)))
        }
    }

    /// A pointer comes from the disk: what it says is checked before it becomes an offset.
    private func checkAddress(
        _ pointer: BlockPointer, _ structure: CorruptBlock.Structure
    ) throws(ReadError) {
        let (end, overflow) = pointer.address.rawValue.addingReportingOverflow(Self.blockBytes)
        guard pointer.address.isAligned, !overflow, end <= device.byteCount else {
            throw .corrupt(CorruptBlock(pointer.address, structure, .address(pointer.address)))
        }
    }
}
