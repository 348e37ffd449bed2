import Synchronization

/// Memory for the answers to reads, used again and again: fresh pages cost more than the copy.
final class ReadBuffers: Sendable {
    private struct Free: @unchecked Sendable {
        var buffers: [UnsafeMutableRawPointer] = []
    }

    private let free = Mutex(Free())

    /// Runs `body` with room for the largest read.
    func withBuffer<Failure: Error>(
        _ body: (UnsafeMutableRawPointer) throws(Failure) -> Void
    ) throws(Failure) {
        let buffer =
            free.withLock { $0.buffers.popLast() }
            ?? UnsafeMutableRawPointer.allocate(
                byteCount: MountSession.transferBytesMax, alignment: 4096)
        defer { free.withLock { $0.buffers.append(buffer) } }
        try body(buffer)
    }

    deinit {
        free.withLock { free in
            for buffer in free.buffers { buffer.deallocate() }
            free.buffers = []
        }
    }
}
