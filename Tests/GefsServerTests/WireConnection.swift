import GefsClient
import NineP

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

enum WireFailure: Error {
    case system(Int32)
    case closed
    case refused(String)
    case unexpected(UInt8)
}

/// A reply as it came.
struct WireReply: Equatable {
    var type: UInt8
    var tag: UInt16
    var body: [UInt8]

    var isError: Bool { type == MessageType.rError.rawValue }

    /// The text of an Rerror.
    var errorText: String? {
        isError ? String(decoding: body.dropFirst(2), as: UTF8.self) : nil
    }

    /// The data of an Rread.
    var data: [UInt8]? {
        type == MessageType.rRead.rawValue ? Array(body.dropFirst(4)) : nil
    }
}

/// Sends without a signal where nobody listens.
private func socketSend(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Int {
    #if canImport(Glibc)
        send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
    #else
        send(descriptor, bytes.baseAddress, bytes.count, 0)
    #endif
}

/// A connection that sends whatever a test wants, right or wrong.
final class WireConnection {
    private let descriptor: Int32

    init(port: Int) throws {
        descriptor = try DialAddress("127.0.0.1:\(port)").connect()
        var patience = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience,
            socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        close(descriptor)
    }

    // MARK: Bytes

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { buffer in
                socketSend(descriptor, buffer)
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw WireFailure.system(errno) }
            sent += count
        }
    }

    /// Sends a whole message if the socket takes it at once; false where it does not.
    func sendIfRoom(_ bytes: [UInt8]) -> Bool {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags | O_NONBLOCK)
        let count = bytes.withUnsafeBytes { socketSend(descriptor, $0) }
        _ = fcntl(descriptor, F_SETFL, flags)
        if count > 0, count < bytes.count { try? send(Array(bytes[count...])) }
        return count == bytes.count
    }

    /// Says that nothing more will be sent.
    func endSending() {
        shutdown(descriptor, Int32(SHUT_WR))
    }

    /// The next reply.
    func receive() throws -> WireReply {
        let header = try receive(7)
        let size =
            Int(header[0]) | Int(header[1]) << 8 | Int(header[2]) << 16 | Int(header[3]) << 24
        let body = try receive(size - 7)
        return WireReply(
            type: header[4], tag: UInt16(header[5]) | UInt16(header[6]) << 8, body: body)
    }

    /// Whether the server has closed the connection without another byte.
    func isClosedByServer() -> Bool {
        var byte: UInt8 = 0
        var count = recv(descriptor, &byte, 1, 0)
        while count < 0, errno == EINTR { count = recv(descriptor, &byte, 1, 0) }
        return count == 0 || (count < 0 && errno == ECONNRESET)
    }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        var filled = 0
        while filled < count {
            let got = bytes[filled...].withUnsafeMutableBytes { buffer in
                recv(descriptor, buffer.baseAddress, buffer.count, 0)
            }
            if got == 0 { throw WireFailure.closed }
            // A socket with a patience is not asked again by the system where something wakes the
            // thread, such as the end of an io_uring of a test that ran on it before.
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw WireFailure.system(errno) }
            filled += got
        }
        return bytes
    }

    // MARK: Messages

    static func message(_ type: UInt8, tag: UInt16 = 0, _ body: [UInt8] = []) -> [UInt8] {
        le(UInt32(7 + body.count)) + [type] + le(tag) + body
    }

    static func message(_ type: MessageType, tag: UInt16 = 0, _ body: [UInt8] = []) -> [UInt8] {
        message(type.rawValue, tag: tag, body)
    }

    static func le<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    static func string(_ text: String) -> [UInt8] { string(Array(text.utf8)) }

    static func string(_ text: [UInt8]) -> [UInt8] { le(UInt16(text.count)) + text }

    func ask(_ type: MessageType, tag: UInt16 = 0, _ body: [UInt8] = []) throws -> WireReply {
        try send(Self.message(type, tag: tag, body))
        return try receive()
    }

    @discardableResult
    func begin(messageBytesMax: UInt32, version: String = "9P2000") throws -> WireReply {
        try ask(.tVersion, tag: 0xffff, Self.le(messageBytesMax) + Self.string(version))
    }

    func attach(fid: UInt32, user: String, tree: String = "") throws {
        let reply = try ask(
            .tAttach,
            Self.le(fid) + Self.le(UInt32.max) + Self.string(user) + Self.string(tree))
        if let text = reply.errorText { throw WireFailure.refused(text) }
    }

    static func walk(_ fid: UInt32, _ newFid: UInt32, _ names: [String], tag: UInt16 = 0) -> [UInt8]
    {
        message(
            .tWalk, tag: tag,
            le(fid) + le(newFid) + le(UInt16(names.count)) + names.flatMap { string($0) })
    }

    static func open(_ fid: UInt32, _ mode: UInt8, tag: UInt16 = 0) -> [UInt8] {
        message(.tOpen, tag: tag, le(fid) + [mode])
    }

    static func create(
        _ fid: UInt32, _ name: String, _ permissions: UInt32, _ mode: UInt8, tag: UInt16 = 0
    ) -> [UInt8] {
        message(.tCreate, tag: tag, le(fid) + string(name) + le(permissions) + [mode])
    }

    static func read(_ fid: UInt32, _ offset: UInt64, _ count: UInt32, tag: UInt16 = 0) -> [UInt8] {
        message(.tRead, tag: tag, le(fid) + le(offset) + le(count))
    }

    static func write(_ fid: UInt32, _ offset: UInt64, _ data: [UInt8], tag: UInt16 = 0) -> [UInt8]
    {
        message(.tWrite, tag: tag, le(fid) + le(offset) + le(UInt32(data.count)) + data)
    }

    static func clunk(_ fid: UInt32, tag: UInt16 = 0) -> [UInt8] {
        message(.tClunk, tag: tag, le(fid))
    }

    static func flush(_ oldTag: UInt16, tag: UInt16) -> [UInt8] {
        message(.tFlush, tag: tag, le(oldTag))
    }

    static func stat(_ fid: UInt32, tag: UInt16 = 0) -> [UInt8] {
        message(.tStat, tag: tag, le(fid))
    }

    /// Sends a message and takes the next reply.
    func exchange(_ message: [UInt8]) throws -> WireReply {
        try send(message)
        return try receive()
    }
}
