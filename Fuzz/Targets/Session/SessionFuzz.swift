import GefsControl
import GefsEngine
import GefsServer
import NIOCore
import NineP

/// A client that says anything to a server on a volume in memory; afterwards another client is served.
///
/// The first byte chooses the volume, the listener, and whether the volume is checked afterwards.
public struct SessionFuzz: FuzzTarget {
    public static let name = "session"

    private static let stepsMax = 64
    /// What may wait to be taken by a client that does not take it.
    private static let untakenBytesMax = 4 << 20
    private let volumes: [FuzzVolume]

    public init() throws {
        volumes = [
            FuzzVolume(try BaseImages.populated(.r)), FuzzVolume(try BaseImages.populated(.n)),
        ]
    }

    public func settle() throws {
        for volume in volumes { try volume.close(checks: true) }
    }

    public func run(_ input: UnsafeRawBufferPointer) throws {
        var reader = InputReader(input)
        let choice = reader.byte()
        let volume = volumes[Int(choice & 1)]
        let fileSystem = try volume.open()
        let handler = ControlConsole(
            ControlService(fileSystem, image: "image", server: FuzzControls()))
        let client = try FuzzConnection(
            fileSystem, isControl: choice & 2 != 0, handler: handler)
        let messageBytesMax: UInt32 = choice & 4 != 0 ? 300 : 32 << 10
        if choice & 8 == 0 {
            client.receive(SessionScript.opening(messageBytesMax: messageBytesMax))
        }
        var script = SessionScript(reader)
        var untaken = 0
        var isTaking = true
        for _ in 0..<Self.stepsMax {
            guard client.isActive, let step = script.next() else { break }
            switch step {
            case .send(let bytes): if client.takesMore { client.receive(bytes) }
            case .settle: client.settle()
            case .endInput:
                client.channel.pipeline.fireUserInboundEventTriggered(
                    ChannelEvent.inputClosed)
            case .writable(let isWritable):
                isTaking = isWritable
                client.channel.isWritable = isWritable
                client.channel.pipeline.fireChannelWritabilityChanged()
            }
            let replies = client.replies()
            try Self.check(replies)
            untaken = isTaking ? 0 : untaken + replies.readableBytes
            try promise(untaken <= Self.untakenBytesMax, "replies pile up")
        }
        try promise(client.close(), "a connection does not end")
        try serveAnother(fileSystem, handler)
        try volume.finish(checks: choice & 0xf0 == 0)
    }

    /// Everything that is answered is a message.
    private static func check(_ replies: ByteBuffer) throws {
        var isWhole = true
        replies.withUnsafeReadableBytes { bytes in
            var rest = bytes
            while !rest.isEmpty {
                guard let frame = try? Frame(firstOf: rest, limit: 1 << 20),
                    (try? Reply(frame)) != nil
                else {
                    isWhole = false
                    return
                }
                rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(frame.byteCount))
            }
        }
        try promise(isWhole, "an answer is no message")
    }

    private func serveAnother(_ fileSystem: FileSystem, _ handler: any ControlHandler) throws {
        let other = try FuzzConnection(fileSystem, isControl: false, handler: handler)
        other.receive(SessionScript.opening(messageBytesMax: 8192))
        other.settle()
        let answer = other.replies()
        try promise(
            answer.readableBytes > 7 && answer.getInteger(at: 4) == MessageType.rVersion.rawValue,
            "another client is not answered")
        let second = answer.getInteger(at: 0, endianness: .little, as: UInt32.self).map(Int.init)
        try promise(
            second.flatMap { answer.getInteger(at: $0 + 4) } == MessageType.rAttach.rawValue,
            "another client is not served")
        try promise(other.close(), "another client's connection does not end")
    }
}
