import GefsFormat

/// All blocks of a device with the form of a tree node, and which of them are believed.
///
/// The hash of a block lies in its parent. So a block is believed where another one names its
/// address and its hash, and a block that names others rightly is believed to be a node of this
/// volume, too, as no other bytes could: chance has one in 2^64. The snapshot tree names the roots
/// of the others; superblocks name its root. Used by one thread.
final class ScannedNodes {
    /// The byte of the device that blocks are counted from.
    let start: UInt64
    /// The byte of the device that addresses are counted from; below zero where the front is gone.
    let origin: Int64
    private(set) var nodes: ContiguousArray<ScannedNode>
    private let device: any BlockDevice
    private var pages: [(number: ScannedNumber, page: BlockBuffer)?]

    private static let pageCount = 2048

    init(
        _ device: any BlockDevice, nodes: ContiguousArray<ScannedNode>, start: UInt64, origin: Int64
    ) {
        self.device = device
        self.nodes = nodes
        self.start = start
        self.origin = origin
        pages = Array(repeating: nil, count: Self.pageCount)
    }

    subscript(number: ScannedNumber) -> ScannedNode { nodes[Int(number)] }

    var numbers: Range<ScannedNumber> { 0..<ScannedNumber(nodes.count) }

    // MARK: Places

    /// The byte of the device where a block lies; nil where that is not on the device.
    func place(of address: BlockAddress) -> UInt64? {
        guard address.isAligned, let address = Int64(exactly: address.rawValue) else { return nil }
        let (place, overflow) = address.addingReportingOverflow(origin)
        guard !overflow, place >= 0 else { return nil }
        let (end, overlong) = UInt64(place).addingReportingOverflow(UInt64(Geometry.blockBytes))
        guard !overlong, end <= device.byteCount else { return nil }
        return UInt64(place)
    }

    /// The address of a node that was found.
    func address(of number: ScannedNumber) -> BlockAddress {
        let place = start + self[number].block * UInt64(Geometry.blockBytes)
        return BlockAddress(rawValue: UInt64(bitPattern: Int64(place) - origin))
    }

    /// The node that a pointer names; nil unless it is there with the right hash.
    func find(_ pointer: BlockPointer) -> ScannedNumber? {
        guard let place = place(of: pointer.address), place >= start,
            (place - start).isMultiple(of: UInt64(Geometry.blockBytes))
        else { return nil }
        let block = (place - start) / UInt64(Geometry.blockBytes)
        var (low, high) = (0, nodes.count)
        while low < high {
            let middle = (low + high) / 2
            if nodes[middle].block < block { low = middle + 1 } else { high = middle }
        }
        guard low < nodes.count, nodes[low].block == block, nodes[low].hash == pointer.hash
        else { return nil }
        return ScannedNumber(low)
    }

    // MARK: Reading

    /// The bytes of a node; nil where they cannot be read again as they were.
    func page(_ number: ScannedNumber) -> BlockBuffer? {
        let slot = Int(number) % Self.pageCount
        if let held = pages[slot], held.number == number { return held.page }
        let page = BlockBuffer()
        let place = start + self[number].block * UInt64(Geometry.blockBytes)
        do throws(DeviceError) {
            try device.read(at: place, into: page.mutableBytes)
        } catch {
            return nil
        }
        guard MetroHash64.hash(page.bytes) == self[number].hash,
            (try? NodeCheck.check(page.bytes, at: .none)) != nil
        else { return nil }
        pages[slot] = (number, page)
        return page
    }

    // MARK: Links

    /// Finds out who names whom; until then no node is believed.
    ///
    /// - Parameter progress: asked now and then whether to go on.
    /// - Returns: how many nodes are named by others, nil where it was stopped.
    func link(_ superblocks: [ScannedSuperblock], progress: () -> Bool) -> Int? {
        var count = 0
        for number in numbers where !self[number].isLeaf || self[number].flags.contains(.snapshots)
        {
            guard progress() else { return nil }
            guard let page = page(number) else { continue }
            if !self[number].isLeaf {
                forEachChild(in: page) { pointer in
                    count += vouch(for: pointer, by: number, as: .vouched)
                }
            }
            Self.forEachRoot(in: page, isLeaf: self[number].isLeaf) { record in
                count += vouch(for: record.root, by: number, as: [.vouched, .root])
            }
        }
        for superblock in superblocks {
            guard let root = find(superblock.snapshotTreeRoot) else { continue }
            nodes[Int(root)].flags.insert(.vouched)
            count += 1
        }
        return count
    }

    private func vouch(
        for pointer: BlockPointer, by number: ScannedNumber, as flags: ScannedNode.Flags
    ) -> Int {
        guard let other = find(pointer) else { return 0 }
        nodes[Int(other)].flags.formUnion(flags)
        nodes[Int(number)].flags.insert(.evident)
        return 1
    }

    /// Marks what believed leaves and messages say to be data of files: a file that holds an image
    /// has blocks that look like nodes.
    func markData(progress: () -> Bool) {
        for number in numbers where self[number].isBelieved {
            guard progress() else { return }
            guard !self[number].flags.contains(.snapshots), let page = page(number) else {
                continue
            }
            Self.forEachPair(in: page, isLeaf: self[number].isLeaf) { key, value in
                guard key.first == KeyKind.data.rawValue, let base = value.baseAddress,
                    value.count == BlockPointer.byteCount,
                    let other = find(BlockPointer(decoding: base)), !self[other].isBelieved
                else { return }
                nodes[Int(other)].flags.insert(.data)
            }
        }
    }

    /// Calls `body` with each child that a pivot names; a leaf, or a node that is gone, has none.
    func forEachChild(of number: ScannedNumber, _ body: (BlockPointer) -> Void) {
        guard !self[number].isLeaf, let page = page(number) else { return }
        forEachChild(in: page, body)
    }

    private func forEachChild(in page: BlockBuffer, _ body: (BlockPointer) -> Void) {
        let pivot = PivotView(unchecked: page.base)
        for index in 0..<pivot.childCount { body(pivot.pointer(index)) }
    }

    /// Calls `body` with each key and value in a leaf, or each one that a message of a pivot inserts.
    static func forEachPair(
        in page: BlockBuffer, isLeaf: Bool,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        if isLeaf {
            let leaf = LeafView(unchecked: page.base)
            for index in 0..<leaf.count { body(leaf.key(index), leaf.value(index)) }
        } else {
            let pivot = PivotView(unchecked: page.base)
            for index in 0..<pivot.messageCount {
                let message = pivot.message(index)
                if message.kind == .insert { body(message.key, message.payload) }
            }
        }
    }

    static func forEachRoot(
        in page: BlockBuffer, isLeaf: Bool, _ body: (SnapshotRecord) -> Void
    ) {
        forEachPair(in: page, isLeaf: isLeaf) { key, value in
            guard key.first == KeyKind.snapshot.rawValue,
                let record = try? SnapshotRecord(decoding: value)
            else { return }
            body(record)
        }
    }

    // MARK: The origin

    /// The origin that most pointers agree on when their hashes are looked for anywhere; nil where
    /// none is found.
    func vote(_ superblocks: [ScannedSuperblock], unit: UInt64) -> Int64? {
        let byHash = numbers.sorted { self[$0].hash < self[$1].hash }
        var votes: [Int64: Int] = [:]
        func vote(_ pointer: BlockPointer) {
            guard let address = Int64(exactly: pointer.address.rawValue) else { return }
            var (low, high) = (0, byHash.count)
            while low < high {
                let middle = (low + high) / 2
                if self[byHash[middle]].hash < pointer.hash {
                    low = middle + 1
                } else {
                    high = middle
                }
            }
            // Copies of one block are rare; a device full of them must not cost their square.
            var copies = 0
            while low < byHash.count, self[byHash[low]].hash == pointer.hash, copies < 8 {
                let place = Int64(start + self[byHash[low]].block * unit)
                if votes.count < 4096 || votes[place - address] != nil {
                    votes[place - address, default: 0] += 1
                }
                low += 1
                copies += 1
            }
        }
        for number in numbers where !self[number].isLeaf || self[number].flags.contains(.snapshots)
        {
            let page = BlockBuffer()
            let place = start + self[number].block * unit
            guard (try? device.read(at: place, into: page.mutableBytes)) != nil,
                (try? NodeCheck.check(page.bytes, at: .none)) != nil,
                MetroHash64.hash(page.bytes) == self[number].hash
            else { continue }
            if !self[number].isLeaf { forEachChild(in: page, vote) }
            Self.forEachRoot(in: page, isLeaf: self[number].isLeaf) { vote($0.root) }
        }
        for superblock in superblocks { vote(superblock.snapshotTreeRoot) }
        return votes.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
    }
}
