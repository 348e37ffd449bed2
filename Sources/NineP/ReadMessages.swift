/// `size[4] Tread tag[2] fid[4] offset[8] count[4]`
public struct Tread: Message {
    public static let type = MessageType.tRead

    public var fid: FidNumber
    public var offset: UInt64
    public var count: UInt32

    public init(fid: FidNumber, offset: UInt64, count: UInt32) {
        self.fid = fid
        self.offset = offset
        self.count = count
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        offset = try reader.integer(UInt64.self)
        count = try reader.integer(UInt32.self)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.integer(offset)
        writer.integer(count)
    }
}

/// `size[4] Rread tag[2] count[4] data[count]`
public struct Rread: Message {
    public static let type = MessageType.rRead

    public var data: UnsafeRawBufferPointer

    public init(data: UnsafeRawBufferPointer) {
        self.data = data
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        guard let count = Int(exactly: try reader.integer(UInt32.self)) else {
            throw .truncated(neededBytes: .max, availableBytes: reader.remainingBytes)
        }
        data = try reader.bytes(count)
    }

    public func encodeBody(into writer: inout WireWriter) {
        guard let count = UInt32(exactly: data.count) else { return writer.overflow() }
        writer.integer(count)
        writer.bytes(data)
    }

    /// Writes everything but the data, which the caller has put behind the header's 11 bytes;
    /// says how many bytes the message has.
    ///
    /// - Throws: `ProtocolError.doesNotFit` where the buffer does not hold that many.
    public static func encodeHeader(
        tag: Tag, dataBytes: Int, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ProtocolError) -> Int {
        let headerBytes = WireLimits.readReplyHeaderBytes
        guard dataBytes >= 0, dataBytes <= buffer.count - headerBytes,
            let size = UInt32(exactly: dataBytes + headerBytes)
        else { throw .doesNotFit }
        var writer = WireWriter(buffer)
        writer.integer(size)
        writer.integer(type.rawValue)
        writer.integer(tag.rawValue)
        writer.integer(UInt32(truncatingIfNeeded: dataBytes))
        return dataBytes + headerBytes
    }
}
