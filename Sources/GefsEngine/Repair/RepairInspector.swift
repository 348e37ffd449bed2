import GefsFormat

/// What has to be done to one tree before all of it can be read.
struct TreeInspection {
    /// Why nothing of the tree can be used.
    var loss: String?
    /// Levels, which the record may state wrongly.
    var height = 0
    /// When the root was born, which the record may state wrongly.
    var rootBirth = Generation.zero
    /// Nodes that have to be written anew: without children that are lost, with the fills and
    /// births that are right.
    var replaced: [BlockPointer: BlockBuffer] = [:]
    /// A key in the range of each of them that the tree does not hold.
    var touched: [Key] = []
    /// Ranges of keys of which everything is lost, `nil` where open, and why.
    var lostRanges: [(low: Key?, high: Key?, why: String)] = []
    /// Nodes that break the rules, of which only the whole records stay.
    var rebuilt: [BlockAddress] = []
    /// Keys with a pointer to file data that cannot stay, or that do not belong here.
    var badKeys: Set<Key> = []

    /// The batch that makes `Tree.apply` rewrite the nodes of `replaced`.
    var rewriting: [Key: [UInt8]?] {
        Dictionary(touched.map { ($0, [UInt8]?.none) }, uniquingKeysWith: { first, _ in first })
    }

    var isWhole: Bool {
        loss == nil && replaced.isEmpty && badKeys.isEmpty && lostRanges.isEmpty
    }
}

/// Walks trees and finds what of them can be read.
///
/// A part that was found whole is not walked again, in whatever tree it is met.
final class RepairInspector {
    private struct WholePart {
        var height: Int
        var fill: Int
        var low: [UInt8]
        var high: [UInt8]
    }

    private enum Visit {
        case usable(fill: Int, generation: Generation, low: [UInt8], high: [UInt8], isWhole: Bool)
        case lost(String)
    }

    let nodes: RepairNodes
    let table: ArenaTable
    let owners: BlockOwners
    /// Blocks that trees use.
    let held: BlockBits
    /// File data whose contents do not have the hash that its pointers state.
    private let badData: Set<BlockPointer>
    /// Blocks whose pointers disagree about their birth, or state an impossible one.
    private let doubtfulBirths: Set<Int>
    private let nextGeneration: Generation
    /// When such blocks were born, as it is decided here.
    private var births: [Int: Generation] = [:]
    /// Blocks that are nodes although file data was found to be there before.
    private(set) var sharedNodes: Set<Int> = []
    private let knownSharedNodes: Set<Int>
    /// The second uses of blocks of file data: they get a copy.
    private(set) var copies: [DataUse: BlockPointer] = [:]

    struct DataUse: Hashable {
        var pointer: BlockPointer
        var qid: UInt64
        var offset: UInt64
    }

    // The tree being walked.
    private var whole: [BlockPointer: WholePart] = [:]
    private var inspection = TreeInspection()
    private var path: Set<UInt64> = []
    private var isSnapshotTree = false
    private var holder = Generation.zero

    init(
        nodes: RepairNodes, table: ArenaTable, blockCount: Int, badData: Set<BlockPointer>,
        doubtfulBirths: Set<Int>, nextGeneration: Generation, sharedNodes: Set<Int>
    ) {
        self.nodes = nodes
        self.table = table
        owners = BlockOwners(blockCount: blockCount)
        held = BlockBits(count: blockCount)
        self.badData = badData
        self.doubtfulBirths = doubtfulBirths
        self.nextGeneration = nextGeneration
        knownSharedNodes = sharedNodes
    }

    /// Walks a tree.
    ///
    /// - Parameter holder: the snapshot's generation. Trees are walked oldest first.
    func inspect(
        root: BlockPointer, height stated: Int, holder: Generation, isSnapshotTree: Bool
    ) -> TreeInspection {
        inspection = TreeInspection()
        self.isSnapshotTree = isSnapshotTree
        self.holder = holder
        path = []
        let height = measuredHeight(root) ?? stated
        inspection.height = height
        guard height >= 1, height <= Geometry.treeHeightMax else {
            inspection.loss = "height \(height) is impossible"
            return inspection
        }
        switch visit(root, height: height, low: nil, high: nil) {
        case .usable(_, let generation, _, _, _): inspection.rootBirth = generation
        case .lost(let why): inspection.loss = why
        }
        return inspection
    }

    /// Levels along first children that can be read; what a record states may be wrong.
    private func measuredHeight(_ root: BlockPointer) -> Int? {
        var pointer = root
        var height = 1
        while height <= Geometry.treeHeightMax {
            guard table.block(at: pointer.address) != nil else { return nil }
            let buffer: BlockBuffer
            switch nodes.node(pointer) {
            case .whole(let found), .rebuilt(let found): buffer = found
            case .lost: return nil
            }
            if isLeaf(buffer) { return height }
            pointer = PivotView(unchecked: buffer.base).pointer(0)
            height += 1
        }
        return nil
    }

    private func isLeaf(_ buffer: BlockBuffer) -> Bool {
        UnsafeRawPointer(buffer.base).loadBigEndian(at: 0, as: UInt16.self)
            == BlockKind.leaf.rawValue
    }

    private func visit(
        _ pointer: BlockPointer, height: Int, low: [UInt8]?, high: [UInt8]?
    ) -> Visit {
        guard let block = table.block(at: pointer.address) else {
            return .lost("block \(pointer.address) lies outside every arena")
        }
        if let part = whole[pointer], part.height == height {
            guard isWithin(part.low, low, high), isWithin(part.high, low, high) else {
                return .lost("node \(pointer.address) holds keys of another range")
            }
            return .usable(
                fill: part.fill, generation: pointer.generation, low: part.low, high: part.high,
                isWhole: true)
        }
        guard path.insert(pointer.address.rawValue).inserted else {
            return .lost("node \(pointer.address) is within itself")
        }
        defer { path.remove(pointer.address.rawValue) }
        let buffer: BlockBuffer
        var isRebuilt = false
        switch nodes.node(pointer) {
        case .whole(let found): buffer = found
        case .rebuilt(let found):
            buffer = found
            isRebuilt = true
            inspection.rebuilt.append(pointer.address)
        case .lost(let why): return .lost(why)
        }
        guard isLeaf(buffer) == (height == 1) else {
            return .lost("node \(pointer.address) is not of height \(height)")
        }
        claimNode(block, pointer)
        let generation = birth(of: block, pointer)
        return height == 1
            ? visitLeaf(pointer, buffer, generation, isRebuilt: isRebuilt, low, high)
            : visitPivot(pointer, buffer, generation, height, isRebuilt: isRebuilt, low, high)
    }

    private func isWithin(_ key: [UInt8], _ low: [UInt8]?, _ high: [UInt8]?) -> Bool {
        key.withUnsafeBytes { key in
            (low?.withUnsafeBytes { compareKeys($0, key) <= 0 } ?? true)
                && (high?.withUnsafeBytes { compareKeys(key, $0) < 0 } ?? true)
        }
    }

    private func visitLeaf(
        _ pointer: BlockPointer, _ buffer: BlockBuffer, _ generation: Generation,
        isRebuilt: Bool, _ low: [UInt8]?, _ high: [UInt8]?
    ) -> Visit {
        let leaf = LeafView(unchecked: buffer.base)
        let (first, last) = (Array(leaf.key(0)), Array(leaf.key(leaf.count - 1)))
        guard isWithin(first, low, high), isWithin(last, low, high) else {
            return .lost("node \(pointer.address) holds keys of another range")
        }
        let badBefore = inspection.badKeys.count
        for index in 0..<leaf.count {
            let key = leaf.key(index)
            checkKey(key)
            if let data = DataKey(key) { checkData(leaf.value(index), data, key) }
        }
        if isRebuilt {
            inspection.replaced[pointer] = buffer
            inspection.touched.append(Self.unusedKey(behind: leaf.key(0)))
        }
        let isWhole =
            !isRebuilt && inspection.badKeys.count == badBefore
            && generation == pointer.generation
        if isWhole {
            whole[pointer] = WholePart(height: 1, fill: leaf.fill, low: first, high: last)
        }
        return .usable(
            fill: leaf.fill, generation: generation, low: first, high: last, isWhole: isWhole)
    }

    private func visitPivot(
        _ pointer: BlockPointer, _ buffer: BlockBuffer, _ generation: Generation, _ height: Int,
        isRebuilt: Bool, _ low: [UInt8]?, _ high: [UInt8]?
    ) -> Visit {
        let pivot = PivotView(unchecked: buffer.base)
        var lowest = Array(pivot.key(0))
        var highest = Array(pivot.key(pivot.childCount - 1))
        if pivot.messageCount > 0 {
            lowest = lesser(lowest, Array(pivot.messageKey(0)))
            highest = greater(highest, Array(pivot.messageKey(pivot.messageCount - 1)))
        }
        guard isWithin(lowest, low, high), isWithin(highest, low, high) else {
            return .lost("node \(pointer.address) holds keys of another range")
        }
        var isWhole = !isRebuilt && generation == pointer.generation
        let badBefore = inspection.badKeys.count
        for index in 0..<pivot.messageCount {
            let message = pivot.message(index)
            checkKey(message.key)
            if message.kind == .insert, let data = DataKey(message.key) {
                checkData(message.payload, data, message.key)
            }
        }
        isWhole = isWhole && inspection.badKeys.count == badBefore
        let lostBefore = inspection.lostRanges.count
        let copy = nodes.pool.make()
        var builder = PivotBuilder(block: copy.base)
        var isChanged = isRebuilt
        var why = ""
        for index in 0..<pivot.childCount {
            let key = Array(pivot.key(index))
            let end = index + 1 < pivot.childCount ? Array(pivot.key(index + 1)) : high
            let child = pivot.pointer(index)
            switch visit(child, height: height - 1, low: key, high: end) {
            case .lost(let reason):
                why = reason
                inspection.lostRanges.append(
                    (Key(bytes: key), end.map { Key(bytes: $0) }, reason))
                isChanged = true
            case .usable(let fill, let born, _, let top, let isChildWhole):
                highest = greater(highest, top)
                isWhole = isWhole && isChildWhole
                if fill != pivot.childFill(index) || born != child.generation { isChanged = true }
                var right = child
                right.generation = born
                builder.appendChild(key: pivot.key(index), pointer: right, fill: fill)
                if right != child, let replaced = inspection.replaced[child] {
                    inspection.replaced[right] = replaced
                }
            }
        }
        guard builder.childCount > 0 else {
            inspection.lostRanges.removeSubrange(lostBefore...)
            return .lost(why)
        }
        for index in 0..<pivot.messageCount { builder.appendMessage(pivot.message(index)) }
        let fill = builder.finish()
        if isChanged {
            inspection.replaced[pointer] = copy
            inspection.touched.append(
                Self.unusedKey(behind: PivotView(unchecked: copy.base).key(0)))
        } else if isWhole {
            whole[pointer] = WholePart(height: height, fill: fill, low: lowest, high: highest)
        }
        return .usable(
            fill: fill, generation: generation, low: lowest, high: highest,
            isWhole: isWhole && !isChanged)
    }

    private func lesser(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        Key(bytes: left) < Key(bytes: right) ? left : right
    }

    private func greater(_ left: [UInt8], _ right: [UInt8]) -> [UInt8] {
        Key(bytes: left) < Key(bytes: right) ? right : left
    }

    /// A key right behind another one that no tree can hold.
    private static func unusedKey(behind key: UnsafeRawBufferPointer) -> Key {
        var bytes = Array(key)
        if bytes.count < Geometry.posixKeyBytesMax {
            bytes.append(0)
        } else if let last = bytes.last {
            bytes[bytes.count - 1] = last == .max ? last : last + 1
        }
        return Key(bytes: bytes)
    }

    // MARK: Records

    private func checkKey(_ key: UnsafeRawBufferPointer) {
        let isAtHome: Bool
        switch key.first.flatMap(KeyKind.init(rawValue:)) {
        case .data, .entry, .up, .inode, .link, .attribute: isAtHome = !isSnapshotTree
        case .label, .snapshot, .deadlist: isAtHome = isSnapshotTree
        case .config: isAtHome = true
        case nil: isAtHome = false
        }
        if !isAtHome { inspection.badKeys.insert(Key(key)) }
    }

    private func claimNode(_ block: Int, _ pointer: BlockPointer) {
        held.insert(block)
        let entry = BlockOwners.Entry(
            hash: pointer.hash, birth: 0, owner: 0, identity: 0, role: .node)
        if let first = owners.claim(block, entry), first.role != .node {
            sharedNodes.insert(block)
        }
    }

    private func checkData(
        _ value: UnsafeRawBufferPointer, _ data: DataKey, _ key: UnsafeRawBufferPointer
    ) {
        guard let pointer = DataPointer.decode(value) else { return }
        if dataProblem(pointer, qid: data.qid, offset: data.offset) {
            inspection.badKeys.insert(Key(key))
        }
    }

    /// Whether a pointer to file data cannot stay as it is.
    private func dataProblem(_ pointer: BlockPointer, qid: UInt64, offset: UInt64) -> Bool {
        guard let block = table.block(at: pointer.address) else { return true }
        let identity = DataKey.identity(qid: qid, offset: offset)
        let entry = BlockOwners.Entry(
            hash: pointer.hash, birth: 0, owner: 0, identity: identity, role: .data)
        let generation = birth(of: block, pointer)
        if isBad(pointer) { return true }
        held.insert(block)
        if knownSharedNodes.contains(block) { return true }
        if let first = owners.claim(block, entry) {
            if first.role != .data || first.hash != pointer.hash || first.identity != identity {
                return true
            }
        }
        return generation != pointer.generation
    }

    private func isBad(_ pointer: BlockPointer) -> Bool {
        badData.contains(
            BlockPointer(address: pointer.address, hash: pointer.hash, generation: .zero))
    }

    private func birth(of block: Int, _ pointer: BlockPointer) -> Generation {
        guard doubtfulBirths.contains(block) else { return pointer.generation }
        if let known = births[block] { return known }
        // The oldest tree that holds a block is no older than the block, and to call a block
        // younger than it is keeps it from nobody.
        let isPossible = pointer.generation < nextGeneration && pointer.generation <= holder
        births[block] = isPossible ? pointer.generation : holder
        return births[block] ?? holder
    }

    /// What a pointer to file data has to become; nil if the data is lost.
    ///
    /// - Parameter copy: makes a copy of a block that something else uses, too.
    func mended(
        _ pointer: BlockPointer, qid: UInt64, offset: UInt64,
        copy: (BlockBuffer) throws(RepairError) -> BlockAddress
    ) throws(RepairError) -> BlockPointer? {
        guard let block = table.block(at: pointer.address), !isBad(pointer) else { return nil }
        var right = pointer
        right.generation = birth(of: block, pointer)
        let first = owners[block]
        let identity = DataKey.identity(qid: qid, offset: offset)
        if !knownSharedNodes.contains(block), first.role == .data, first.hash == pointer.hash,
            first.identity == identity
        {
            return right
        }
        let use = DataUse(pointer: pointer, qid: qid, offset: offset)
        if let known = copies[use] { return known }
        guard let buffer = nodes.data(pointer.address, hash: pointer.hash) else { return nil }
        right.address = try copy(buffer)
        copies[use] = right
        return right
    }
}
