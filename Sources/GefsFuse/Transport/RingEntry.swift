import CFuse3
import Glibc

/// Memory that the kernel puts one request into, and from which it takes the reply.
///
/// The reply is written over the request: a function that answers has no use for the names and
/// bytes that it was given once it has replied.
final class RingEntry {
    private typealias Header = KernelInterface.RingHeader

    /// What the kernel calls the request.
    var commitIdentifier: UInt64 {
        header.load(fromByteOffset: Header.commitIdentifier, as: UInt64.self)
    }

    /// `KernelInterface.RingHeader`.
    let header: UnsafeMutableRawPointer
    /// Names and data, of the request and of the reply. There is room before it for a request's fixed
    /// part, so that libfuse finds it in one piece.
    let payload: UnsafeMutableRawPointer
    static let payloadBytesMax = MountSession.transferBytesMax

    private static let pageBytes = 4096
    /// Of the request that is being answered; nil when it has its reply.
    private var unique: UInt64?

    init() {
        header = .allocate(
            byteCount: 2 * Self.pageBytes + Self.payloadBytesMax, alignment: Self.pageBytes)
        header.initializeMemory(as: UInt8.self, repeating: 0, count: Header.byteCount)
        payload = header + 2 * Self.pageBytes
    }

    deinit {
        header.deallocate()
    }

    /// Whether the request of that number is to be replied to here.
    func awaits(_ unique: UInt64) -> Bool { self.unique == unique }

    /// The request as it would have come from the device; nil where that is none.
    func begin() -> UnsafeMutableRawBufferPointer? {
        let request = header.load(as: fuse_in_header.self)
        unique = request.unique
        let headBytes = MemoryLayout<fuse_in_header>.size
        let payloadBytes = Int(header.load(fromByteOffset: Header.payloadBytes, as: UInt32.self))
        let operationBytes = Int(request.len) - headBytes - payloadBytes
        guard payloadBytes <= Self.payloadBytesMax,
            (0...Header.operationBytesMax).contains(operationBytes)
        else { return nil }
        let start = payload - operationBytes - headBytes
        start.copyMemory(from: header, byteCount: headBytes)
        (start + headBytes).copyMemory(from: header + Header.operation, byteCount: operationBytes)
        return UnsafeMutableRawBufferPointer(start: start, count: Int(request.len))
    }

    /// Takes a reply over: its header, then the rest in parts.
    ///
    /// - Returns: its length in bytes, or nil where there is no room for it.
    func reply(_ parts: UnsafeBufferPointer<iovec>) -> Int? {
        var end = 0
        for (index, part) in parts.enumerated() {
            guard let bytes = part.iov_base else { continue }
            if index == 0 {
                header.copyMemory(
                    from: bytes, byteCount: min(part.iov_len, MemoryLayout<fuse_out_header>.size))
                continue
            }
            guard part.iov_len <= Self.payloadBytesMax - end else { return nil }
            // Data that was read is where it belongs already.
            if bytes != payload + end {
                memmove(payload + end, bytes, part.iov_len)
            }
            end += part.iov_len
        }
        header.storeBytes(of: UInt32(end), toByteOffset: Header.payloadBytes, as: UInt32.self)
        unique = nil
        return end + MemoryLayout<fuse_out_header>.size
    }

    /// Makes sure that there is a reply: an error where nobody has given one.
    func end() {
        guard let unique else { return }
        var reply = fuse_out_header(
            len: UInt32(MemoryLayout<fuse_out_header>.size), error: -EIO, unique: unique)
        withUnsafeMutableBytes(of: &reply) { bytes in
            let part = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
            _ = withUnsafePointer(to: part) {
                self.reply(UnsafeBufferPointer(start: $0, count: 1))
            }
        }
    }
}
