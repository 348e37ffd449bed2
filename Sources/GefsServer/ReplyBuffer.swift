import NIOCore
import NineP

extension ByteBuffer {
    /// Room that every reply but Rread fits: Rstat with the longest names is the largest.
    static let smallReplyBytesMax = 2048

    /// Appends a message of at most `limit` bytes.
    mutating func append(
        _ message: some Message, tag: Tag, limit: Int
    ) throws(RequestError) {
        var fits = true
        writeWithUnsafeMutableBytes(minimumWritableBytes: Self.smallReplyBytesMax) { room in
            let room = UnsafeMutableRawBufferPointer(rebasing: room.prefix(limit))
            do throws(ProtocolError) {
                return try message.encode(tag: tag, into: room)
            } catch {
                fits = false
                return 0
            }
        }
        if !fits { throw .replyTooLarge }
    }

    /// Appends an Rerror, its text cut where the message size demands it.
    mutating func append(_ error: RequestError, tag: Tag, limit: Int) {
        let text = ErrorText.text(of: error).wireBytes
        let detail: String
        switch error {
        case .unknownMessage(let type): detail = " type \(type)"
        case .message(.refused(let reason)): detail = reason
        default: return appendError(text, tag: tag, limit: limit)
        }
        let detailed = Array(text) + Array(detail.utf8.prefix(Self.errorDetailBytesMax))
        detailed.withUnsafeBytes { appendError($0, tag: tag, limit: limit) }
    }

    private static let errorDetailBytesMax = 512

    private mutating func appendError(_ text: UnsafeRawBufferPointer, tag: Tag, limit: Int) {
        let overhead = WireLimits.headerBytes + 2
        let text = UnsafeRawBufferPointer(rebasing: text.prefix(max(0, limit - overhead)))
        // Fits: the smallest message size is far above the overhead.
        try? append(Rerror(text: text), tag: tag, limit: max(limit, overhead))
    }
}
