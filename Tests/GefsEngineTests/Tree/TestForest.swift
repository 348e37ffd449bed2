import GefsFormat
import Testing

@testable import GefsEngine

/// Blocks in memory that trees are built in, and the account of which of them are alive.
///
/// Addresses are used again as soon as an update that killed them is accepted, so a stale pointer
/// is found by its hash. Within an update killed blocks stay readable, as on a disk.
final class TestForest: FlushTarget, NodeSource, @unchecked Sendable {
    let generation = Generation(rawValue: 7)
    private(set) var nodes: [BlockAddress: (buffer: BlockBuffer, pointer: BlockPointer)] = [:]
    private(set) var data: Set<BlockPointer> = []
    private var freeAddresses: [BlockAddress] = []
    private var nextAddress: UInt64 = 1
    private var nextData: UInt64 = 1 << 30

    // Of the update under way.
    private var written: [BlockAddress] = []
    private var killedNodes: Set<BlockPointer> = []
    private var killedData: Set<BlockPointer> = []
    private var addedData: [BlockPointer] = []
    private var problems: [String] = []

    private(set) var readCount = 0
    private(set) var writeCount = 0
    /// Nodes that are refused when reading without blocking.
    var uncached: Set<BlockAddress> = []
    /// Reads and writes left before every further one fails.
    var stepsLeft = Int.max
    /// Nodes that no tree has any more stay readable, for trees of the past.
    var keepsKilled = false

    func newBuffer() -> BlockBuffer {
        let buffer = BlockBuffer()
        // What a builder does not write must not matter.
        buffer.mutableBytes.copyBytes(from: repeatElement(0xa5, count: Geometry.blockBytes))
        return buffer
    }

    func readNode(_ pointer: BlockPointer) throws(TreeError) -> BlockBuffer {
        try step()
        do throws(ReadError) {
            return try node(pointer, mayBlock: true)
        } catch {
            throw .read(error)
        }
    }

    func node(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer {
        if !mayBlock && uncached.contains(pointer.address) { throw .wouldBlock }
        readCount += 1
        guard let found = nodes[pointer.address], found.pointer == pointer else {
            throw .corrupt(
                CorruptBlock(
                    pointer.address, .node,
                    .hash(
                        found: nodes[pointer.address]?.pointer.hash ?? 0, expected: pointer.hash)))
        }
        return found.buffer
    }

    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer {
        try step()
        let address: BlockAddress
        if let free = freeAddresses.popLast() {
            address = free
        } else {
            address = BlockAddress(rawValue: nextAddress * UInt64(Geometry.blockBytes))
            nextAddress += 1
        }
        let pointer = BlockPointer(
            address: address, hash: MetroHash64.hash(buffer.bytes), generation: generation)
        nodes[address] = (buffer, pointer)
        written.append(address)
        writeCount += 1
        return pointer
    }

    func killNode(_ pointer: BlockPointer) {
        if nodes[pointer.address]?.pointer != pointer { problems.append("unknown node killed") }
        if !killedNodes.insert(pointer).inserted { problems.append("node killed twice") }
    }

    func killData(_ pointer: BlockPointer) {
        if !data.contains(pointer) { problems.append("unknown data killed: \(pointer)") }
        if !killedData.insert(pointer).inserted { problems.append("data killed twice") }
    }

    private func step() throws(TreeError) {
        guard stepsLeft > 0 else { throw .volumeFull }
        stepsLeft -= 1
    }

    /// A pointer to data that no tree holds yet.
    func newData() -> BlockPointer {
        let pointer = BlockPointer(
            address: BlockAddress(rawValue: nextData * UInt64(Geometry.blockBytes)),
            hash: nextData &* 0x9e37_79b9, generation: generation)
        nextData += 1
        data.insert(pointer)
        addedData.append(pointer)
        return pointer
    }

    /// Takes over what an update did.
    func accept() {
        #expect(problems == [])
        for pointer in killedNodes where !keepsKilled {
            nodes[pointer.address] = nil
            freeAddresses.append(pointer.address)
        }
        data.subtract(killedData)
        forgetUpdate()
    }

    /// Undoes what a failed update did.
    func abandon() {
        for address in written {
            nodes[address] = nil
            freeAddresses.append(address)
        }
        data.subtract(addedData)
        forgetUpdate()
    }

    private func forgetUpdate() {
        written = []
        killedNodes = []
        killedData = []
        addedData = []
        problems = []
    }

    /// Checks that what is alive is exactly what the tree refers to, and that no node has changed.
    func checkAccount(_ root: TreeRoot) {
        var reachable: Set<BlockAddress> = []
        var held: Set<BlockPointer> = []
        collect(root.pointer, root.height, &reachable, &held)
        #expect(reachable == Set(nodes.keys))
        #expect(
            held == data,
            "lost \(held.subtracting(data).count), leaked \(data.subtracting(held).count)")
    }

    private func collect(
        _ pointer: BlockPointer, _ height: Int, _ reachable: inout Set<BlockAddress>,
        _ held: inout Set<BlockPointer>
    ) {
        guard let node = nodes[pointer.address], node.pointer == pointer else {
            Issue.record("the tree refers to a dead node")
            return
        }
        #expect(reachable.insert(pointer.address).inserted)
        func hold(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
            guard key[0] == KeyKind.data.rawValue, let base = value.baseAddress else { return }
            #expect(held.insert(BlockPointer(decoding: base)).inserted)
        }
        if height == 1 {
            let leaf = LeafView(unchecked: node.buffer.base)
            for index in 0..<leaf.count { hold(leaf.key(index), leaf.value(index)) }
            return
        }
        let pivot = PivotView(unchecked: node.buffer.base)
        for index in 0..<pivot.messageCount {
            let message = pivot.message(index)
            if message.kind == .insert { hold(message.key, message.payload) }
        }
        for index in 0..<pivot.childCount {
            collect(pivot.pointer(index), height - 1, &reachable, &held)
        }
    }

    /// A tree of one leaf.
    func plant(_ key: Key, _ value: [UInt8]) throws -> TreeRoot {
        let buffer = newBuffer()
        var builder = LeafBuilder(block: buffer.base)
        key.withBytes { key in value.withUnsafeBytes { builder.append(key: key, value: $0) } }
        builder.finish()
        let root = TreeRoot(pointer: try writeNode(buffer), height: 1)
        accept()
        return root
    }
}

extension TestForest {
    /// Nodes per level from the leaves up, and the mean fill of leaves in percent.
    func shape(_ root: TreeRoot) -> (levels: [Int], leafFill: Int) {
        var levels = [Int](repeating: 0, count: root.height)
        var fill = 0
        func visit(_ pointer: BlockPointer, _ height: Int) {
            levels[height - 1] += 1
            guard let node = nodes[pointer.address] else { return }
            if height == 1 {
                fill += LeafView(unchecked: node.buffer.base).fill
                return
            }
            let pivot = PivotView(unchecked: node.buffer.base)
            for index in 0..<pivot.childCount { visit(pivot.pointer(index), height - 1) }
        }
        visit(root.pointer, root.height)
        return (levels, fill * 100 / (levels[0] * Geometry.leafSpaceBytes))
    }
}

extension TestForest {
    /// Checks that every buffered message can be applied as strictly as upstream does it: what
    /// deletes or changes a key finds it. Source: FORMAT 6.4.
    func checkMessagesApply(_ root: TreeRoot) throws {
        var values: [Key: UnsafeRawBufferPointer] = [:]
        var levels = [[MessageView]](repeating: [], count: root.height)
        func visit(_ pointer: BlockPointer, _ height: Int) {
            guard let node = nodes[pointer.address] else { return }
            if height == 1 {
                let leaf = LeafView(unchecked: node.buffer.base)
                for index in 0..<leaf.count { values[Key(leaf.key(index))] = leaf.value(index) }
                return
            }
            let pivot = PivotView(unchecked: node.buffer.base)
            for index in 0..<pivot.messageCount { levels[height - 1].append(pivot.message(index)) }
            for index in 0..<pivot.childCount { visit(pivot.pointer(index), height - 1) }
        }
        visit(root.pointer, root.height)
        let scratch = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 8)
        defer { scratch.deallocate() }
        for message in levels.joined() {
            // Only presence matters here, so changed values need not be kept.
            let key = Key(message.key)
            let value = try MessageFold.apply(
                message.kind, payload: message.payload, to: values[key], scratch: scratch)
            values[key] = value.map { _ in
                message.kind == .insert ? message.payload : values[key] ?? message.payload
            }
        }
    }
}
