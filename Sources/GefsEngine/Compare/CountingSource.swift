import GefsFormat
import Synchronization

/// Reads nodes through the cache and counts those that are not in it.
final class CountingSource: NodeSource {
    private let reader: BlockReader
    private let reads = Atomic<Int>(0)

    init(_ reader: BlockReader) {
        self.reader = reader
    }

    /// Blocks read from the device so far.
    var readCount: Int { reads.load(ordering: .relaxed) }

    func node(_ pointer: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer {
        if let cached = reader.cache.lookup(pointer, as: .node) { return cached }
        if mayBlock { reads.wrappingAdd(1, ordering: .relaxed) }
        return try reader.node(pointer, mayBlock: mayBlock)
    }
}
