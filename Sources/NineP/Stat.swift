/// A file's attributes as they go over the wire:
/// `size[2] type[2] dev[4] qid[13] mode[4] atime[4] mtime[4] length[8] name[s] uid[s] gid[s] muid[s]`
///
/// The strings lie in somebody else's buffer. Source: stat(5).
public struct Stat {
    public var type: UInt16
    public var device: UInt32
    public var qid: WireQid
    public var mode: UInt32
    /// Seconds since 1970.
    public var accessTime: UInt32
    /// Seconds since 1970.
    public var modificationTime: UInt32
    /// Bytes.
    public var length: UInt64
    public var name: UnsafeRawBufferPointer
    public var user: UnsafeRawBufferPointer
    public var group: UnsafeRawBufferPointer
    public var lastModifier: UnsafeRawBufferPointer

    /// The values that tell a wstat to leave a field alone.
    public enum Untouched {
        public static let type: UInt16 = .max
        public static let device: UInt32 = .max
        public static let mode: UInt32 = .max
        public static let time: UInt32 = .max
        public static let length: UInt64 = .max
    }

    private enum Layout {
        static let sizeBytes = 2
        /// Everything before the strings, the size field included.
        static let fixedBytes = 41
        static let stringCount = 4
    }

    /// A record that changes nothing.
    public init() {
        type = Untouched.type
        device = Untouched.device
        qid = .untouched
        mode = Untouched.mode
        accessTime = Untouched.time
        modificationTime = Untouched.time
        length = Untouched.length
        let empty = UnsafeRawBufferPointer(start: nil, count: 0)
        name = empty
        user = empty
        group = empty
        lastModifier = empty
    }

    /// Takes the next record of several.
    public init(decoding reader: inout WireReader) throws(ProtocolError) {
        let size = Int(try reader.integer(UInt16.self))
        var fields = WireReader(try reader.bytes(size))
        type = try fields.integer(UInt16.self)
        device = try fields.integer(UInt32.self)
        qid = try fields.qid()
        mode = try fields.integer(UInt32.self)
        accessTime = try fields.integer(UInt32.self)
        modificationTime = try fields.integer(UInt32.self)
        length = try fields.integer(UInt64.self)
        name = try fields.string()
        user = try fields.string()
        group = try fields.string()
        lastModifier = try fields.string()
        guard fields.remainingBytes == 0 else {
            throw .badStatSize(found: size, expected: size - fields.remainingBytes)
        }
    }

    /// Decodes bytes that hold one record and nothing else.
    public init(record: UnsafeRawBufferPointer) throws(ProtocolError) {
        var reader = WireReader(record)
        try self.init(decoding: &reader)
        try reader.finish()
    }

    /// Bytes of the encoded record, its size field included.
    public var byteCount: Int {
        Layout.fixedBytes + Layout.stringCount * 2 + name.count + user.count + group.count
            + lastModifier.count
    }

    public func encode(into writer: inout WireWriter) {
        guard let size = UInt16(exactly: byteCount - Layout.sizeBytes) else {
            return writer.overflow()
        }
        writer.integer(size)
        writer.integer(type)
        writer.integer(device)
        writer.qid(qid)
        writer.integer(mode)
        writer.integer(accessTime)
        writer.integer(modificationTime)
        writer.integer(length)
        writer.string(name)
        writer.string(user)
        writer.string(group)
        writer.string(lastModifier)
    }
}
