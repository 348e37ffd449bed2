import NIOCore
import NineP

@testable import GefsServer

/// Bytes as they come from a socket: cut into frames, decoded, encoded again.
///
/// The first byte says into which pieces the rest is cut on its way.
public struct FrameFuzz: FuzzTarget {
    public static let name = "frames"

    private static let frameBytesMax = 8192

    public init() {}

    public func run(_ input: UnsafeRawBufferPointer) throws {
        var reader = InputReader(input)
        let pieceBytes = Int(reader.byte()) + 1
        let bytes = reader.rest
        let whole = try Self.framesOfWhole(bytes)
        let assembled = Self.assembledFrames(bytes, pieceBytes: pieceBytes)
        try promise(whole == assembled, "frames depend on how they come")
    }

    /// Bytes of the frames in front, each decoded.
    private static func framesOfWhole(_ bytes: UnsafeRawBufferPointer) throws -> [Int] {
        var sizes: [Int] = []
        var rest = bytes
        while let frame = try? Frame(firstOf: rest, limit: frameBytesMax) {
            let message = UnsafeRawBufferPointer(rebasing: rest.prefix(frame.byteCount))
            try checkRequest(frame, message)
            try checkReply(frame, message)
            sizes.append(frame.byteCount)
            rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(frame.byteCount))
        }
        return sizes
    }

    private static func assembledFrames(
        _ bytes: UnsafeRawBufferPointer, pieceBytes: Int
    ) -> [Int] {
        var sizes: [Int] = []
        var assembler = FrameAssembler()
        var rest = bytes[...]
        while !rest.isEmpty {
            assembler.receive(ByteBuffer(bytes: rest.prefix(pieceBytes)))
            rest = rest.dropFirst(pieceBytes)
            while true {
                let next: ByteBuffer?
                do throws(ProtocolError) {
                    next = try assembler.nextRun(limit: frameBytesMax)
                } catch {
                    // The connection ends here.
                    return sizes
                }
                guard var run = next else { break }
                let size = run.withUnsafeReadableBytes { bytes in
                    (try? Frame(firstOf: bytes, limit: frameBytesMax))?.byteCount
                }
                guard let size else { return sizes }
                sizes.append(size)
                run.moveReaderIndex(forwardBy: size)
                assembler.putBack(run)
            }
        }
        return sizes
    }

    private static func checkRequest(_ frame: Frame, _ bytes: UnsafeRawBufferPointer) throws {
        guard let request = try? Request(frame) else { return }
        switch request {
        case .version(let message): try check(message, frame, bytes)
        case .auth(let message): try check(message, frame, bytes)
        case .attach(let message): try check(message, frame, bytes)
        case .flush(let message): try check(message, frame, bytes)
        case .walk(let message):
            try promise(Array(message.names).count == message.names.count, "names get lost")
            try check(message, frame, bytes)
        case .open(let message): try check(message, frame, bytes)
        case .create(let message): try check(message, frame, bytes)
        case .read(let message): try check(message, frame, bytes)
        case .write(let message): try check(message, frame, bytes)
        case .clunk(let message): try check(message, frame, bytes)
        case .remove(let message): try check(message, frame, bytes)
        case .stat(let message): try check(message, frame, bytes)
        case .wstat(let message):
            _ = message.mayBeSync
            try check(message, frame, bytes)
        }
    }

    private static func checkReply(_ frame: Frame, _ bytes: UnsafeRawBufferPointer) throws {
        guard let reply = try? Reply(frame) else { return }
        switch reply {
        case .version(let message): try check(message, frame, bytes)
        case .auth(let message): try check(message, frame, bytes)
        case .attach(let message): try check(message, frame, bytes)
        case .error(let message): try check(message, frame, bytes)
        case .flush(let message): try check(message, frame, bytes)
        case .walk(let message): try check(message, frame, bytes)
        case .open(let message): try check(message, frame, bytes)
        case .create(let message): try check(message, frame, bytes)
        case .read(let message): try check(message, frame, bytes)
        case .write(let message): try check(message, frame, bytes)
        case .clunk(let message): try check(message, frame, bytes)
        case .remove(let message): try check(message, frame, bytes)
        case .stat(let message): try check(message, frame, bytes)
        case .wstat(let message): try check(message, frame, bytes)
        }
    }

    /// A message that was decoded is encoded to the same bytes.
    private static func check(
        _ message: some Message, _ frame: Frame, _ bytes: UnsafeRawBufferPointer
    ) throws {
        let isSame = withUnsafeTemporaryAllocation(byteCount: frameBytesMax, alignment: 1) { room in
            guard let count = try? message.encode(tag: frame.tag, into: room) else { return false }
            return room.prefix(count).elementsEqual(bytes)
        }
        try promise(isSame, "type \(frame.rawType) is not encoded as it came")
    }
}
