#if os(Linux)
    import CRing
#endif

/// Short messages to many sockets that the system is handed in one call.
///
/// For one thread at a time.
final class SendBatch {
    /// Messages at once.
    static let messagesMax = 64
    /// Bytes of each.
    static let messageBytesMax = 2048

    #if os(Linux)
        private let sends: OpaquePointer
        private let room: UnsafeMutableRawPointer
        private var parts: [csend_part] = []

        /// Nil where the system has no such call, or not for this process.
        init?() {
            guard let sends = csend_open(UInt32(Self.messagesMax)) else { return nil }
            self.sends = sends
            room = .allocate(byteCount: Self.messagesMax * Self.messageBytesMax, alignment: 16)
            parts.reserveCapacity(Self.messagesMax)
        }

        deinit {
            csend_close(sends)
            room.deallocate()
        }

        /// Adds a message, of which there may be `messagesMax` until the next `send`.
        func add(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {
            assert(bytes.count <= Self.messageBytesMax && parts.count < Self.messagesMax)
            guard let start = bytes.baseAddress else { return }
            let place = room + parts.count * Self.messageBytesMax
            place.copyMemory(from: start, byteCount: bytes.count)
            parts.append(
                csend_part(
                    descriptor: descriptor, sent: 0, bytes: place, byte_count: UInt32(bytes.count)))
        }

        /// Sends all, and says of each, in the order added, how many bytes its socket took. False
        /// where nothing more can be sent this way.
        func send(_ taken: (_ index: Int, _ byteCount: Int) -> Void) -> Bool {
            defer { parts.removeAll(keepingCapacity: true) }
            let status = parts.withUnsafeMutableBufferPointer {
                csend_all(sends, $0.baseAddress, UInt32($0.count))
            }
            for (index, part) in parts.enumerated() { taken(index, max(0, Int(part.sent))) }
            return status == 0
        }
    #else
        init?() { nil }
        func add(_ bytes: UnsafeRawBufferPointer, to descriptor: Int32) {}
        func send(_ taken: (_ index: Int, _ byteCount: Int) -> Void) -> Bool { false }
    #endif
}
