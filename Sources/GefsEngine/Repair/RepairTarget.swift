import GefsFormat

/// Where the trees of a repair are changed: nodes come from the disk or from what takes their
/// place, and new ones stay in memory until the plan is carried out.
final class RepairTarget: FlushTarget {
    let generation: Generation
    private let nodes: RepairNodes
    private let space: RepairSpace
    /// What takes the place of nodes of the tree on disk.
    private let replaced: [BlockPointer: BlockBuffer]
    /// Why a change stopped.
    private(set) var failure: RepairError?

    init(
        _ nodes: RepairNodes, _ space: RepairSpace, generation: Generation,
        replaced: [BlockPointer: BlockBuffer] = [:]
    ) {
        self.nodes = nodes
        self.space = space
        self.generation = generation
        self.replaced = replaced
    }

    func readNode(_ pointer: BlockPointer) throws(TreeError) -> BlockBuffer {
        if let buffer = replaced[pointer] { return buffer }
        switch nodes.node(pointer) {
        case .whole(let buffer), .rebuilt(let buffer): return buffer
        case .lost(let why):
            failure = .unreadable(why)
            throw .corrupt(CorruptBlock(pointer.address, .node, .address(pointer.address)))
        }
    }

    func isReplaced(_ pointer: BlockPointer) -> Bool { replaced[pointer] != nil }

    func newBuffer() -> BlockBuffer { nodes.pool.make() }

    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer {
        do throws(RepairError) {
            let address = try space.allocate()
            nodes.add(buffer, at: address)
            return BlockPointer(
                address: address, hash: MetroHash64.hash(buffer.bytes), generation: generation)
        } catch {
            failure = error
            throw .volumeFull
        }
    }

    // What nothing refers to any more is found when the logs are made.
    func killNode(_ pointer: BlockPointer) {
        _ = nodes.remove(pointer.address)
    }

    func killData(_ pointer: BlockPointer) {}

    /// The tree after a batch, with nothing of the batch left in buffers.
    func apply(_ edits: [Key: [UInt8]?], to root: TreeRoot) throws(RepairError) -> TreeRoot? {
        guard !edits.isEmpty else { return root }
        let batch = MessageBatch(countHint: edits.count)
        for key in edits.keys.sorted() {
            guard let edit = edits[key] else { continue }
            key.withBytes { bytes in
                if let value = edit {
                    value.withUnsafeBytes { batch.append(kind: .insert, key: bytes, payload: $0) }
                } else {
                    let isData = bytes.first == KeyKind.data.rawValue
                    batch.append(
                        kind: isData ? .clearb : .clobber, key: bytes,
                        payload: UnsafeRawBufferPointer(start: nil, count: 0))
                }
            }
        }
        do throws(TreeError) {
            return try Tree.apply(batch, to: root, target: self, reachesLeaves: true)
        } catch {
            if case .emptyTree = error { return nil }
            throw failure ?? .unreadable("\(error)")
        }
    }
}
