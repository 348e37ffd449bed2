/// `size[4] Twrite tag[2] fid[4] offset[8] count[4] data[count]`
public struct Twrite: Message {
    public static let type = MessageType.tWrite

    public var fid: FidNumber
    public var offset: UInt64
    public var data: UnsafeRawBufferPointer

    public init(fid: FidNumber, offset: UInt64, data: UnsafeRawBufferPointer) {
        self.fid = fid
        self.offset = offset
        self.data = data
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        offset = try reader.integer(UInt64.self)
        guard let count = Int(exactly: try reader.integer(UInt32.self)) else {
            throw .truncated(neededBytes: .max, availableBytes: reader.remainingBytes)
        }
        data = try reader.bytes(count)
    }

    public func encodeBody(into writer: inout WireWriter) {
        guard let count = UInt32(exactly: data.count) else { return writer.overflow() }
        writer.integer(fid.rawValue)
        writer.integer(offset)
        writer.integer(count)
        writer.bytes(data)
    }
}

/// `size[4] Rwrite tag[2] count[4]`
public struct Rwrite: Message {
    public static let type = MessageType.rWrite

    public var count: UInt32

    public init(count: UInt32) {
        self.count = count
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        count = try reader.integer(UInt32.self)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(count)
    }
}
