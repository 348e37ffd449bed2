import GefsFormat

/// A node in memory, for as long as something refers to it.
final class NodePage {
    private let buffer: UnsafeMutableRawPointer
    let node: NodeScan

    fileprivate init(_ buffer: UnsafeMutableRawPointer, _ node: NodeScan) {
        self.buffer = buffer
        self.node = node
    }

    deinit {
        buffer.deallocate()
    }
}

/// Reads nodes and keeps some of those read last.
final class PageReader {
    private static let slotCount = 256

    private let source: any CheckSource
    private var slots: [(address: BlockAddress, page: NodePage?)]

    init(_ source: any CheckSource) {
        self.source = source
        slots = Array(repeating: (.none, nil), count: Self.slotCount)
    }

    /// The node at an address; `nil` when it cannot be read or its records cannot be found.
    func page(_ address: BlockAddress) -> NodePage? {
        let slot = Int(truncatingIfNeeded: address.rawValue / UInt64(Geometry.blockBytes))
        let index = slot % Self.slotCount
        if slots[index].address == address { return slots[index].page }
        let buffer = UnsafeMutableRawPointer.allocate(
            byteCount: Geometry.blockBytes, alignment: MemoryLayout<UInt64>.alignment)
        let memory = UnsafeMutableRawBufferPointer(start: buffer, count: Geometry.blockBytes)
        guard (try? source.read(at: address.rawValue, into: memory)) != nil,
            let node = try? NodeScan(buffer)
        else {
            buffer.deallocate()
            return nil
        }
        let page = NodePage(buffer, node)
        slots[index] = (address, page)
        return page
    }
}
