/// `size[4] Tversion tag[2] msize[4] version[s]`
///
/// Opens a session and ends the one before.
public struct Tversion: Message {
    public static let type = MessageType.tVersion

    /// Bytes of the largest message the client takes.
    public var messageBytesMax: UInt32
    public var version: UnsafeRawBufferPointer

    public init(messageBytesMax: UInt32, version: UnsafeRawBufferPointer) {
        self.messageBytesMax = messageBytesMax
        self.version = version
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        messageBytesMax = try reader.integer(UInt32.self)
        version = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(messageBytesMax)
        writer.string(version)
    }

    /// Whether the client speaks 9P2000: what goes before the first dot counts.
    public var asksFor9P2000: Bool {
        let ours = ProtocolVersion.plain.wireBytes
        guard version.count >= ours.count else { return false }
        for index in 0..<ours.count where version[index] != ours[index] { return false }
        return version.count == ours.count || version[ours.count] == UInt8(ascii: ".")
    }
}

/// `size[4] Rversion tag[2] msize[4] version[s]`
public struct Rversion: Message {
    public static let type = MessageType.rVersion

    public var messageBytesMax: UInt32
    public var version: UnsafeRawBufferPointer

    public init(messageBytesMax: UInt32, version: UnsafeRawBufferPointer) {
        self.messageBytesMax = messageBytesMax
        self.version = version
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        messageBytesMax = try reader.integer(UInt32.self)
        version = try reader.string()
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(messageBytesMax)
        writer.string(version)
    }
}

/// The version strings of the protocol.
public enum ProtocolVersion {
    public static let plain: StaticString = "9P2000"
    public static let unknown: StaticString = "unknown"
}
