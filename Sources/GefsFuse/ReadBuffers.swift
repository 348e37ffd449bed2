import GefsEngine

/// Memory for the answers to reads, used again and again: fresh pages cost more than the copy.
final class ReadBuffers: @unchecked Sendable {
    private let lock = Lock()
    /// lock.
    private var free: [UnsafeMutableRawPointer] = []

    /// Runs `body` with room for the largest read.
    func withBuffer<Failure: Error>(
        _ body: (UnsafeMutableRawPointer) throws(Failure) -> Void
    ) throws(Failure) {
        // What is answered over the ring is read to where the kernel takes it from.
        if let entry = RingThread.current { return try body(entry.payload) }
        let buffer =
            lock.locked { free.popLast() }
            ?? UnsafeMutableRawPointer.allocate(
                byteCount: MountSession.transferBytesMax, alignment: 4096)
        defer { lock.locked { free.append(buffer) } }
        try body(buffer)
    }

    deinit {
        for buffer in free { buffer.deallocate() }
    }
}
