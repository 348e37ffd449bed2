import GefsFormat

/// One update of a tree on disk: hands out addresses, gathers the new nodes, notes what dies.
///
/// Belongs to the flush thread. When the update fails, `abandon` gives everything back.
final class TreeFlush: FlushTarget {
    let generation: Generation
    private let volume: Volume
    private var queue = WriteQueue()
    private var fresh: [BlockAddress: BlockBuffer] = [:]
    private(set) var killed: [BlockPointer] = []

    /// Blocks that the update has made.
    var writtenBlocks: Int { fresh.count }

    init(_ volume: Volume, generation: Generation) {
        self.volume = volume
        self.generation = generation
    }

    func readNode(_ pointer: BlockPointer) throws(TreeError) -> BlockBuffer {
        if let buffer = fresh[pointer.address] { return buffer }
        do throws(ReadError) {
            return try volume.reader.node(pointer, mayBlock: true)
        } catch {
            throw .read(error)
        }
    }

    func newBuffer() -> BlockBuffer {
        volume.newBuffer()
    }

    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer {
        guard let address = volume.allocateNode() else { throw .volumeFull }
        fresh[address] = buffer
        queue.add(address, buffer)
        let pointer = BlockPointer(
            address: address, hash: MetroHash64.hash(buffer.bytes), generation: generation)
        volume.cache.insert(pointer, buffer, as: .node)
        return pointer
    }

    func killNode(_ pointer: BlockPointer) {
        killed.append(pointer)
    }

    func killData(_ pointer: BlockPointer) {
        killed.append(pointer)
    }

    /// Gives blocks of data addresses and writes them out: contiguous as far as there is room.
    func writeData(
        _ blocks: [(qid: UInt64, index: UInt64, buffer: BlockBuffer)]
    ) throws(FileError) -> [BlockPointer] {
        var pointers: [BlockPointer] = []
        pointers.reserveCapacity(blocks.count)
        while pointers.count < blocks.count {
            let next = pointers.count
            guard let run = volume.allocateRun(upTo: blocks.count - next) else {
                throw .volumeFull
            }
            for offset in 0..<run.count {
                let block = blocks[next + offset]
                let address = run[offset]
                let pointer = BlockPointer(
                    address: address, hash: MetroHash64.hash(block.buffer.bytes),
                    generation: generation)
                pointers.append(pointer)
                fresh[address] = block.buffer
                queue.add(address, block.buffer)
                if !block.buffer.isCachedByWriter {
                    volume.cache.insert(pointer, block.buffer, as: .data)
                }
            }
            if queue.blockCount >= Self.queuedBlocksMax {
                try writeQueued()
            }
        }
        return pointers
    }

    private static let queuedBlocksMax = 512

    /// Writes what is queued to the device, in long runs; nothing is durable before a flush.
    func writeQueued() throws(FileError) {
        do throws(DeviceError) {
            try queue.write(to: volume.device)
        } catch {
            throw .device(error)
        }
    }

    /// Gives back every block that the update took.
    func abandon() {
        for address in fresh.keys {
            volume.cache.remove(address)
            volume.free(address)
        }
        fresh = [:]
    }
}

/// Blocks that wait to be written, by address.
struct WriteQueue {
    private(set) var blocks: [(address: BlockAddress, buffer: BlockBuffer)] = []

    /// Blocks that one write takes at most: 1 MiB.
    private static let runBlocksMax = 64

    var blockCount: Int { blocks.count }

    mutating func add(_ address: BlockAddress, _ buffer: BlockBuffer) {
        blocks.append((address, buffer))
    }

    /// Writes all in runs ordered by address, and empties the queue.
    mutating func write(to device: any BlockDevice) throws(DeviceError) {
        blocks.sort { $0.address < $1.address }
        var start = 0
        var run: [UnsafeRawBufferPointer] = []
        while start < blocks.count {
            var end = start
            run.removeAll(keepingCapacity: true)
            while end < blocks.count, end - start < Self.runBlocksMax,
                blocks[end].address.rawValue
                    == blocks[start].address.rawValue
                    + UInt64((end - start) * Geometry.blockBytes)
            {
                run.append(blocks[end].buffer.bytes)
                end += 1
            }
            try device.write(at: blocks[start].address.rawValue, from: run)
            if run.count == Self.runBlocksMax {
                // A long stretch is hardly written twice before the next commit waits for it.
                device.startWriteback(
                    at: blocks[start].address.rawValue, byteCount: run.count * Geometry.blockBytes)
            }
            start = end
        }
        blocks.removeAll()
    }
}
