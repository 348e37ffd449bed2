import NIOCore
import NineP

/// Cuts what comes from a socket into runs of whole messages, copying only what is split.
///
/// A message of which only a part has come is gathered in a buffer of its own, whose size is that of
/// the message, which the limit bounds.
struct FrameAssembler {
    private var received = CircularBuffer<ByteBuffer>(initialCapacity: 2)
    private var partial = ByteBuffer()

    /// Bytes of a size field.
    private static let sizeBytes = 4

    /// Bytes that have come and are not handled.
    var byteCount: Int { received.reduce(partial.readableBytes) { $0 + $1.readableBytes } }

    mutating func receive(_ buffer: ByteBuffer) {
        if buffer.readableBytes > 0 { received.append(buffer) }
    }

    /// Gives back what was not handled of the last run.
    mutating func putBack(_ rest: ByteBuffer) {
        if rest.readableBytes > 0 { received.prepend(rest) }
    }

    /// Takes a buffer that begins with at least one whole message, nil while there is none.
    ///
    /// - Throws: `ProtocolError.frameTooShort` and `.frameTooLong`.
    mutating func nextRun(limit: Int) throws(ProtocolError) -> ByteBuffer? {
        while true {
            if partial.readableBytes > 0 {
                guard try completePartial(limit: limit) else { return nil }
                let run = partial
                partial = ByteBuffer()
                return run
            }
            guard var first = received.popFirst() else { return nil }
            let size = try Self.frameBytes(in: first, limit: limit)
            if let size, size <= first.readableBytes { return first }
            var gathered = ByteBufferAllocator().buffer(capacity: size ?? Self.sizeBytes)
            gathered.writeBuffer(&first)
            partial = gathered
        }
    }

    /// Adds to the partial message what it lacks; true when it is whole.
    private mutating func completePartial(limit: Int) throws(ProtocolError) -> Bool {
        while true {
            let size = try Self.frameBytes(in: partial, limit: limit)
            let missing = (size ?? Self.sizeBytes) - partial.readableBytes
            if missing <= 0 { return true }
            guard var next = received.popFirst() else { return false }
            if let size { partial.reserveCapacity(size) }
            var piece = next.readSlice(length: min(missing, next.readableBytes)) ?? ByteBuffer()
            partial.writeBuffer(&piece)
            putBack(next)
        }
    }

    private static func frameBytes(
        in buffer: ByteBuffer, limit: Int
    ) throws(ProtocolError) -> Int? {
        var result = Result<Int?, ProtocolError>.success(nil)
        buffer.withUnsafeReadableBytes { bytes in
            result = Result { () throws(ProtocolError) in
                try Frame.byteCount(in: bytes, limit: limit)
            }
        }
        return try result.get()
    }
}
