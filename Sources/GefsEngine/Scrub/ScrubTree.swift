import GefsFormat

/// A damaged block that a walk came upon.
struct ScrubSuspect {
    enum Place {
        case data(qid: UInt64, offset: UInt64)
        /// The node answers for these keys; nil for no bound.
        case node(low: Key?, high: Key?, height: Int)
        /// What no file needs.
        case other(String)
    }

    var address: BlockAddress
    var place: Place
    var reason: String
}

/// Verifies the blocks of trees, each block once, in pieces that can be interrupted.
///
/// A piece begins at a key, so that between two pieces a tree may have changed: what is born after
/// the scrub has begun was just written, and a block that was verified and is older than that is
/// still the same block, however many trees share it.
final class ScrubTree {
    private let device: any BlockDevice
    /// Blocks born from here on are not looked at.
    private let firstNew: Generation
    private let blockCount: UInt64
    private let done: BlockBits
    private let buffer: UnsafeMutableRawBufferPointer
    /// Blocks read since the last `takeCount`.
    private var count = 0
    private(set) var suspects: [ScrubSuspect] = []

    init(_ device: any BlockDevice, firstNew: Generation) {
        self.device = device
        self.firstNew = firstNew
        blockCount = device.byteCount / UInt64(Geometry.blockBytes)
        done = BlockBits(count: Int(blockCount))
        buffer = .allocate(
            byteCount: BlockReader.runBlocksMax * Geometry.blockBytes,
            alignment: BlockBufferPool.alignment)
    }

    deinit {
        buffer.deallocate()
    }

    /// Blocks read that `takeCount` has not told of.
    var pendingCount: Int { count }

    /// Counts blocks that somebody else has read.
    func noteRead(_ blocks: Int) { count += blocks }

    func takeCount() -> Int {
        defer { count = 0 }
        return count
    }

    func takeSuspects() -> [ScrubSuspect] {
        defer { suspects = [] }
        return suspects
    }

    func add(_ suspect: ScrubSuspect) { suspects.append(suspect) }

    /// How a piece of a walk ended.
    enum End {
        case whole
        /// Go on at this key.
        case at(Key)
    }

    /// Verifies the part of a tree from a key on, until so many blocks were read.
    func walk(_ root: TreeRoot, from start: Key?, budget: Int) -> End {
        guard (1...Geometry.treeHeightMax).contains(root.height) else {
            add(
                ScrubSuspect(
                    address: root.pointer.address,
                    place: .node(low: nil, high: nil, height: root.height),
                    reason: "a tree of \(root.height) levels"))
            return .whole
        }
        return walk(root.pointer, root.height, nil, nil, start, count + budget)
    }

    private func isDone(_ pointer: BlockPointer) -> Bool {
        guard let block = block(pointer.address), pointer.generation < firstNew else {
            return false
        }
        return done[block]
    }

    private func markDone(_ address: BlockAddress) {
        if let block = block(address) { done.set(block..<block + 1, to: true) }
    }

    private func block(_ address: BlockAddress) -> Int? {
        let block = address.rawValue / UInt64(Geometry.blockBytes)
        guard address.isAligned, block < blockCount else { return nil }
        return Int(block)
    }

    private func walk(
        _ pointer: BlockPointer, _ height: Int, _ low: Key?, _ high: Key?, _ start: Key?,
        _ limit: Int
    ) -> End {
        if isDone(pointer) { return .whole }
        if let start, let high, high <= start { return .whole }
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Geometry.blockBytes, alignment: BlockBufferPool.alignment)
        defer { memory.deallocate() }
        let place = ScrubSuspect.Place.node(low: low, high: high, height: height)
        if let reason = readNode(pointer, height, memory) {
            add(ScrubSuspect(address: pointer.address, place: place, reason: reason))
            markDone(pointer.address)
            return .whole
        }
        guard let base = memory.baseAddress else { return .whole }
        if height == 1 {
            verifyLeaf(LeafView(unchecked: base))
            markDone(pointer.address)
            return .whole
        }
        let pivot = PivotView(unchecked: base)
        verifyMessages(pivot)
        for index in 0..<pivot.childCount {
            let isLast = index + 1 == pivot.childCount
            let childHigh = isLast ? high : Key(pivot.key(index + 1))
            let end = walk(
                pivot.pointer(index), height - 1, index == 0 ? low : Key(pivot.key(index)),
                childHigh, start, limit)
            if case .at = end { return end }
            if count >= limit, let childHigh, !isLast { return .at(childHigh) }
        }
        markDone(pointer.address)
        return .whole
    }

    /// Reads a node and checks it; what is wrong with it.
    private func readNode(
        _ pointer: BlockPointer, _ height: Int, _ memory: UnsafeMutableRawBufferPointer
    ) -> String? {
        guard block(pointer.address) != nil else { return "the address cannot be that of a block" }
        count += 1
        do throws(DeviceError) {
            try device.read(at: pointer.address.rawValue, into: memory)
        } catch {
            return "\(error)"
        }
        let bytes = UnsafeRawBufferPointer(memory)
        if let reason = hashFault(bytes, pointer.hash) { return reason }
        do throws(CorruptBlock) {
            try NodeCheck.check(
                bytes, at: pointer.address, expecting: height == 1 ? .leaf : .pivot)
        } catch {
            return "\(error.reason)"
        }
        return nil
    }

    private func hashFault(_ bytes: UnsafeRawBufferPointer, _ expected: UInt64) -> String? {
        let found = MetroHash64.hash(bytes)
        return found == expected
            ? nil : "\(CorruptBlock.Reason.hash(found: found, expected: expected))"
    }

    // MARK: file data

    private struct DataPlace {
        var pointer: BlockPointer
        var qid: UInt64
        var offset: UInt64
    }

    private func verifyLeaf(_ leaf: LeafView) {
        var places: [DataPlace] = []
        for index in 0..<leaf.count { note(leaf.key(index), leaf.value(index), &places) }
        verify(&places)
    }

    private func verifyMessages(_ pivot: PivotView) {
        var places: [DataPlace] = []
        for index in 0..<pivot.messageCount {
            let message = pivot.message(index)
            if message.kind == .insert { note(message.key, message.payload, &places) }
        }
        verify(&places)
    }

    private func note(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ places: inout [DataPlace]
    ) {
        guard let data = DataKey(key), value.count == BlockPointer.byteCount,
            let base = value.baseAddress
        else { return }
        let pointer = BlockPointer(decoding: base)
        guard pointer.generation < firstNew, !isDone(pointer) else { return }
        places.append(DataPlace(pointer: pointer, qid: data.qid, offset: data.offset))
    }

    /// Reads blocks of file data, those that lie behind one another at once.
    private func verify(_ places: inout [DataPlace]) {
        places.sort { $0.pointer.address < $1.pointer.address }
        var next = 0
        while next < places.count {
            guard block(places[next].pointer.address) != nil else {
                report(places[next], "the address cannot be that of a block")
                next += 1
                continue
            }
            var end = next + 1
            while end < places.count, end - next < BlockReader.runBlocksMax,
                places[end].pointer.address.rawValue
                    == places[end - 1].pointer.address.rawValue + UInt64(Geometry.blockBytes),
                block(places[end].pointer.address) != nil
            {
                end += 1
            }
            verifyRun(places[next..<end])
            next = end
        }
    }

    private func verifyRun(_ run: ArraySlice<DataPlace>) {
        guard let first = run.first else { return }
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<(run.count * Geometry.blockBytes)])
        do throws(DeviceError) {
            try device.read(at: first.pointer.address.rawValue, into: part)
        } catch {
            // Which of them it was shows when they are read one by one.
            if run.count > 1 {
                for index in run.indices { verifyRun(run[index...index]) }
            } else {
                count += 1
                report(first, "\(error)")
            }
            return
        }
        for (index, place) in run.enumerated() {
            let start = index * Geometry.blockBytes
            let bytes = UnsafeRawBufferPointer(
                rebasing: part[start..<start + Geometry.blockBytes])
            count += 1
            if let reason = hashFault(bytes, place.pointer.hash) {
                report(place, reason)
            } else {
                markDone(place.pointer.address)
            }
        }
    }

    private func report(_ place: DataPlace, _ reason: String) {
        markDone(place.pointer.address)
        add(
            ScrubSuspect(
                address: place.pointer.address,
                place: .data(qid: place.qid, offset: place.offset), reason: reason))
    }

    // MARK: chains

    /// Verifies the blocks of a deadlist.
    func walkChain(_ record: DeadlistRecord, _ name: String) {
        var address = record.head.address
        var seen: Set<BlockAddress> = []
        while !address.isNone, seen.insert(address).inserted {
            func suspect(_ reason: String) {
                add(ScrubSuspect(address: address, place: .other(name), reason: reason))
            }
            guard block(address) != nil else {
                return suspect("the address cannot be that of a block")
            }
            count += 1
            let block = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Geometry.blockBytes])
            do throws(DeviceError) {
                try device.read(at: address.rawValue, into: block)
            } catch {
                return suspect("\(error)")
            }
            do throws(CorruptBlock) {
                let view = try ChainBlockView(
                    checking: UnsafeRawBufferPointer(block), at: address, expecting: .deadlist)
                if address == record.tail.address { return }
                address = view.next.address
            } catch {
                return suspect("\(error.reason)")
            }
        }
    }
}
