import GefsFormat

/// The nodes of a damaged disk, and those that are to be written.
///
/// A node with the right hash that breaks the rules is rebuilt from what it holds, as far as each
/// record is whole. Not synchronised.
final class RepairNodes {
    /// What a pointer leads to.
    enum Node {
        /// A node as it lies on the disk.
        case whole(BlockBuffer)
        /// A node that has to be written anew like this.
        case rebuilt(BlockBuffer)
        /// Nothing that can be used.
        case lost(String)
    }

    private static let cachedMax = 2048

    private let device: any BlockDevice
    let pool = BlockBufferPool()
    private var cache: [BlockPointer: Node] = [:]
    /// Nodes that are to be written, by address.
    private(set) var written: [UInt64: BlockBuffer] = [:]

    /// The same, in the order of their places.
    var writes: [StoreWrite] {
        written.sorted { $0.key < $1.key }.map {
            StoreWrite(at: BlockAddress(rawValue: $0.key), $0.value)
        }
    }

    /// Blocks in which a bit was wrong.
    private(set) var corrected: [StoreWrite] = []
    private(set) var notes: [RepairNote] = []
    /// Blocks in which a wrong bit was looked for.
    private(set) var tried: Set<BlockAddress>

    init(_ device: any BlockDevice, tried: Set<BlockAddress>) {
        self.device = device
        self.tried = tried
    }

    func node(_ pointer: BlockPointer) -> Node {
        if let buffer = written[pointer.address.rawValue] { return .whole(buffer) }
        // The generation has no part in what lies there.
        let name = BlockPointer(
            address: pointer.address, hash: pointer.hash, generation: .zero)
        if let node = cache[name] { return node }
        let node = load(pointer)
        if cache.count >= Self.cachedMax { cache.removeAll(keepingCapacity: true) }
        cache[name] = node
        return node
    }

    /// Any block, whose hash is checked.
    func data(_ address: BlockAddress, hash: UInt64) -> BlockBuffer? {
        guard case .success(let buffer) = read(address),
            MetroHash64.hash(buffer.bytes) == hash
        else { return nil }
        return buffer
    }

    func read(_ address: BlockAddress) -> Result<BlockBuffer, DeviceError> {
        let buffer = pool.make()
        do throws(DeviceError) {
            try device.read(at: address.rawValue, into: buffer.mutableBytes)
            return .success(buffer)
        } catch {
            return .failure(error)
        }
    }

    private func load(_ pointer: BlockPointer) -> Node {
        let buffer: BlockBuffer
        switch read(pointer.address) {
        case .success(let found): buffer = found
        case .failure(let error): return .lost("\(error)")
        }
        let hash = MetroHash64.hash(buffer.bytes)
        guard hash == pointer.hash || correct(buffer, pointer) else {
            return .lost("block \(pointer.address) is damaged")
        }
        do throws(CorruptBlock) {
            try NodeCheck.check(buffer.bytes, at: pointer.address)
            return .whole(buffer)
        } catch {
            if let rebuilt = rebuild(buffer) { return .rebuilt(rebuilt) }
            return .lost("\(error)")
        }
    }

    private func correct(_ buffer: BlockBuffer, _ pointer: BlockPointer) -> Bool {
        guard tried.count < BitCorrection.blocksMax, tried.insert(pointer.address).inserted,
            let note = BitCorrection.correct(buffer, at: pointer.address, expecting: pointer.hash)
        else {
            return corrected.contains { $0.offset == pointer.address.rawValue }
                && restore(buffer, pointer)
        }
        notes.append(note)
        corrected.append(StoreWrite(at: pointer.address, buffer))
        return true
    }

    /// The corrected contents of a block that is read again.
    private func restore(_ buffer: BlockBuffer, _ pointer: BlockPointer) -> Bool {
        for write in corrected where write.offset == pointer.address.rawValue {
            buffer.mutableBytes.copyMemory(from: write.bytes)
        }
        return MetroHash64.hash(buffer.bytes) == pointer.hash
    }

    func add(_ buffer: BlockBuffer, at address: BlockAddress) {
        written[address.rawValue] = buffer
    }

    /// Forgets a node that is to be written.
    ///
    /// - Returns: whether it was one.
    func remove(_ address: BlockAddress) -> Bool {
        written.removeValue(forKey: address.rawValue) != nil
    }

    // MARK: nodes that break the rules

    private typealias Pair = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

    /// The records that are whole, in order, in a new node.
    private func rebuild(_ damaged: BlockBuffer) -> BlockBuffer? {
        guard let node = try? NodeScan(damaged.base) else { return nil }
        let result = pool.make()
        if node.isLeaf {
            var builder = LeafBuilder(block: result.base)
            for (key, value) in sorted(node) where isWhole(key, value) {
                guard builder.fits(keyBytes: key.count, valueBytes: value.count) else { break }
                builder.append(key: key, value: value)
            }
            guard builder.count > 0 else { return nil }
            builder.finish()
        } else {
            var builder = PivotBuilder(block: result.base)
            for (key, value) in sorted(node) where key.count <= Geometry.posixKeyBytesMax {
                guard (try? RecordCheck.child(value, 0)) != nil, let base = value.baseAddress,
                    builder.fitsChild(keyBytes: key.count)
                else { continue }
                builder.appendChild(
                    key: key, pointer: BlockPointer(decoding: base),
                    fill: Int(base.loadBigEndian(at: BlockPointer.byteCount, as: UInt16.self)))
            }
            guard builder.childCount > 0 else { return nil }
            for index in sortedMessages(node) {
                let key = node.messageKey(index)
                let payload = node.value(behind: key)
                guard let kind = MessageKind(rawValue: node.messageKind(index)),
                    let keyKind = try? KeyKind(checking: key),
                    (try? RecordCheck.message(kind, keyKind, payload, index)) != nil,
                    builder.fitsMessage(keyBytes: key.count, payloadBytes: payload.count)
                else { continue }
                builder.appendMessage(MessageView(kind: kind, key: key, payload: payload))
            }
            builder.finish()
        }
        return (try? NodeCheck.check(result.bytes, at: .none)) == nil ? nil : result
    }

    private func isWhole(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> Bool {
        guard let kind = try? KeyKind(checking: key) else { return false }
        return (try? RecordCheck.value(value, of: kind, 0)) != nil
    }

    /// Records by key; of those with the same key the first.
    private func sorted(_ node: NodeScan) -> [Pair] {
        var pairs: [Pair] = (0..<node.count).map {
            (node.key($0), node.value(behind: node.key($0)))
        }
        pairs = pairs.filter { !$0.key.isEmpty }
        pairs = pairs.enumerated().sorted { left, right in
            let order = compareKeys(left.element.key, right.element.key)
            return order == 0 ? left.offset < right.offset : order < 0
        }.map(\.element)
        var result: [Pair] = []
        for pair in pairs {
            if let last = result.last, compareKeys(last.key, pair.key) == 0 { continue }
            result.append(pair)
        }
        return result
    }

    private func sortedMessages(_ node: NodeScan) -> [Int] {
        (0..<node.messageCount).sorted { left, right in
            let order = compareKeys(node.messageKey(left), node.messageKey(right))
            return order == 0 ? left < right : order < 0
        }
    }
}
