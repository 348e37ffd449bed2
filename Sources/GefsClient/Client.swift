import NineP
import Synchronization

/// A 9P2000 client over one connection.
///
/// Every operation blocks. Several threads may use a client at once; each waits for its own replies
/// only. The descriptor is closed when the client and all its files are gone.
public final class Client: Sendable {
    /// Largest message agreed on, in bytes.
    public let messageBytesMax: Int

    private let transport: Transport
    private let board: ReplyBoard
    /// Where messages are encoded; held until they are written.
    private let sendBuffer: Mutex<[UInt8]>
    private let fidNumbers = Mutex(FidNumbers())

    private struct FidNumbers {
        var next: UInt32 = 1
        var free: [UInt32] = []
    }

    /// A request that was sent.
    struct Ticket {
        let tag: Tag
    }

    /// 1 MiB of data and room for the header.
    public static let messageBytesMaxDefault = (1 << 20) + WireLimits.ioHeaderBytes

    /// Begins a session over a connected descriptor, which is the client's from now on, also when
    /// this throws.
    public init(
        descriptor: Int32, messageBytesMax: Int = Client.messageBytesMaxDefault
    ) throws(ClientError) {
        let transport = Transport(descriptor: descriptor)
        let board = ReplyBoard(transport, messageBytesMax: max(messageBytesMax, 8192))
        self.transport = transport
        self.board = board
        let asked = UInt32(clamping: messageBytesMax)
        let request = Self.encoded { buffer throws(ProtocolError) in
            try Tversion(messageBytesMax: asked, version: ProtocolVersion.plain.wireBytes)
                .encode(tag: .none, into: buffer)
        }
        var failure: ClientError?
        request.withUnsafeBytes { bytes in
            do throws(ClientError) { try transport.write(bytes) } catch { failure = error }
        }
        if let failure { throw failure }
        let reply = try board.readMessage(limit: max(messageBytesMax, 8192))
        let agreed = try Self.decode(reply) { reply throws(ClientError) -> Int in
            switch reply {
            case .version(let message):
                guard message.version.elementsEqual("9P2000".utf8) else {
                    throw .versionRefused(String(decoding: message.version, as: UTF8.self))
                }
                return Int(message.messageBytesMax)
            case .error(let message):
                throw .server(String(decoding: message.text, as: UTF8.self))
            default: throw Self.unexpected(reply)
            }
        }
        guard agreed > WireLimits.ioHeaderBytes, agreed <= messageBytesMax else {
            throw .malformed(.frameTooLong(byteCount: agreed, limit: messageBytesMax))
        }
        self.messageBytesMax = agreed
        board.setMessageBytesMax(agreed)
        sendBuffer = Mutex([UInt8](repeating: 0, count: agreed))
    }

    /// Connects to an address as `DialAddress` reads it, and begins a session.
    public convenience init(
        dialing address: String, messageBytesMax: Int = Client.messageBytesMaxDefault
    ) throws(ClientError) {
        try self.init(
            descriptor: DialAddress(address).connect(), messageBytesMax: messageBytesMax)
    }

    /// Ends the connection; whatever is outstanding fails.
    public func close() {
        board.fail(.connectionClosed)
        transport.shutDown()
    }

    /// Bytes that one read or write moves at most.
    public var dataBytesMax: Int { messageBytesMax - WireLimits.ioHeaderBytes }

    /// Attaches to a tree: a label, `dump`, `%label`, `.ctl`, or the empty name for main.
    public func attach(user: String, tree: String = "") throws(ClientError) -> RemoteFile {
        try attach(user: Array(user.utf8), tree: Array(tree.utf8))
    }

    /// Attaches to a tree; names of labels and users need not be UTF-8.
    public func attach(user: [UInt8], tree: [UInt8]) throws(ClientError) -> RemoteFile {
        let fid = takeFid()
        do throws(ClientError) {
            let qid = try ask { (tag, buffer) throws(ProtocolError) in
                try Self.lending(user, tree) { (user, tree) throws(ProtocolError) in
                    try Tattach(fid: fid, userName: user, attachName: tree)
                        .encode(tag: tag, into: buffer)
                }
            } answer: { reply throws(ClientError) in
                guard case .attach(let message) = reply else { throw Self.unexpected(reply) }
                return message.qid
            }
            return RemoteFile(client: self, fid: fid, qid: qid)
        } catch {
            giveBack(fid)
            throw error
        }
    }

    // MARK: Requests

    /// Sends a message that `encode` makes; the tag is the ticket's.
    func send(
        _ encode: (Tag, UnsafeMutableRawBufferPointer) throws(ProtocolError) -> Int
    ) throws(ClientError) -> Ticket {
        let tag = try board.takeTag()
        let failure = sendBuffer.withLock { buffer -> ClientError? in
            buffer.withUnsafeMutableBytes { bytes in
                do throws(ProtocolError) {
                    let byteCount = try encode(tag, bytes)
                    do throws(ClientError) {
                        try transport.write(
                            UnsafeRawBufferPointer(rebasing: bytes.prefix(byteCount)))
                        return nil
                    } catch {
                        board.fail(error)
                        return error
                    }
                } catch {
                    return .tooLarge
                }
            }
        }
        if let failure {
            board.cancel(tag)
            throw failure
        }
        return Ticket(tag: tag)
    }

    /// Waits for the reply to a request and lends it.
    func receive<R>(
        _ ticket: Ticket, _ answer: (Reply) throws(ClientError) -> R
    ) throws(ClientError) -> R {
        let message = try board.wait(for: ticket.tag)
        return try Self.decode(message) { reply throws(ClientError) in
            if case .error(let message) = reply {
                throw .server(String(decoding: message.text, as: UTF8.self))
            }
            return try answer(reply)
        }
    }

    /// Sends a message and waits for its reply.
    func ask<R>(
        _ encode: (Tag, UnsafeMutableRawBufferPointer) throws(ProtocolError) -> Int,
        answer: (Reply) throws(ClientError) -> R
    ) throws(ClientError) -> R {
        try receive(send(encode), answer)
    }

    static func unexpected(_ reply: Reply) -> ClientError {
        .unexpectedReply(type: reply.type.rawValue)
    }

    // MARK: Fids

    func takeFid() -> FidNumber {
        fidNumbers.withLock { numbers in
            if let free = numbers.free.popLast() { return FidNumber(rawValue: free) }
            defer { numbers.next &+= 1 }
            return FidNumber(rawValue: numbers.next)
        }
    }

    func giveBack(_ fid: FidNumber) {
        fidNumbers.withLock { $0.free.append(fid.rawValue) }
    }

    // MARK: Bytes

    private static func decode<R>(
        _ message: [UInt8], _ body: (Reply) throws(ClientError) -> R
    ) throws(ClientError) -> R {
        var result: Result<R, ClientError>?
        message.withUnsafeBytes { bytes in
            result = Result { () throws(ClientError) in
                let reply: Reply?
                do throws(ProtocolError) {
                    reply = try Frame(firstOf: bytes, limit: bytes.count)
                        .map { frame throws(ProtocolError) in try Reply(frame) }
                } catch {
                    throw .malformed(error)
                }
                guard let reply else {
                    throw .malformed(.frameTooShort(byteCount: bytes.count))
                }
                return try body(reply)
            }
        }
        guard let result else { throw .connectionClosed }
        return try result.get()
    }

    /// Lends two byte strings at once.
    static func lending<R>(
        _ first: [UInt8], _ second: [UInt8],
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(ProtocolError) -> R
    ) throws(ProtocolError) -> R {
        var result: Result<R, ProtocolError>?
        first.withUnsafeBytes { first in
            second.withUnsafeBytes { second in
                result = Result { () throws(ProtocolError) in try body(first, second) }
            }
        }
        guard let result else { throw .doesNotFit }
        return try result.get()
    }

    private static func encoded(
        _ body: (UnsafeMutableRawBufferPointer) throws(ProtocolError) -> Int
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 256) { buffer, count in
            count = (try? body(UnsafeMutableRawBufferPointer(buffer))) ?? 0
        }
    }
}

extension Reply {
    /// The message's type, for errors that name it.
    var type: MessageType {
        switch self {
        case .version: .rVersion
        case .auth: .rAuth
        case .attach: .rAttach
        case .error: .rError
        case .flush: .rFlush
        case .walk: .rWalk
        case .open: .rOpen
        case .create: .rCreate
        case .read: .rRead
        case .write: .rWrite
        case .clunk: .rClunk
        case .remove: .rRemove
        case .stat: .rStat
        case .wstat: .rWstat
        }
    }
}
