import NIOCore
import NineP

/// Makes messages of a session out of an input: of valid shape with any values, or no messages at all.
struct SessionScript {
    private var reader: InputReader
    private var nextTag: UInt16 = 0

    /// Something that a client, or the network, does.
    enum Step {
        case send(ByteBuffer)
        /// Everything that was put off happens.
        case settle
        /// The client takes replies, or stops taking them.
        case writable(Bool)
        /// The client ends its side.
        case endInput
    }

    private static let names = [
        "", ".", "..", "a", "b", "c", "d", "small", "0", "1", "2", "3", "users", "ctl", "status",
        "main", "adm", "one", "two", "three", "work", "dump", "empty", ".ctl", "new", "a/b",
        "x\u{1}",
        "main~1", "main@minute", "%main", "%adm", "glenda",
    ].map { Array($0.utf8) }
    private static let users = ["glenda", "adm", "none", "nobody", ""].map { Array($0.utf8) }
    private static let offsets: [UInt64] = [
        0, 1, 5, 100, 16383, 16384, 32768, 1 << 32, 1 << 62, (1 << 63) - 1, 1 << 63, .max,
    ]

    init(_ reader: InputReader) {
        self.reader = reader
    }

    mutating func next() -> Step? {
        guard !reader.isAtEnd else { return nil }
        let kind = reader.byte()
        switch kind & 0x1f {
        case 0: return .settle
        case 1: return .writable(kind & 0x20 == 0)
        case 2: return .send(ByteBuffer(bytes: reader.bytes(Int(reader.byte()))))
        case 3: return kind & 0xe0 == 0xe0 ? .endInput : .settle
        default: return .send(message(kind & 0x1f))
        }
    }

    /// The messages with which every session begins.
    static func opening(messageBytesMax: UInt32) -> ByteBuffer {
        var buffer = ByteBuffer()
        frame(100, tag: 0xffff, into: &buffer) { body in
            body.writeInteger(messageBytesMax, endianness: .little)
            string(Array("9P2000".utf8), into: &body)
        }
        frame(104, tag: 0, into: &buffer) { body in
            body.writeInteger(UInt32(0), endianness: .little)
            body.writeInteger(UInt32.max, endianness: .little)
            string(Array("glenda".utf8), into: &body)
            string([], into: &body)
        }
        return buffer
    }

    // MARK: Messages

    private mutating func message(_ kind: UInt8) -> ByteBuffer {
        var buffer = ByteBuffer()
        let tag = self.tag()
        switch kind {
        case 4: Self.frame(100, tag: tag, into: &buffer) { version(&$0) }
        case 5:
            Self.frame(102, tag: tag, into: &buffer) {
                fid(&$0); user(&$0); name(&$0)
            }
        case 6, 7:
            Self.frame(104, tag: tag, into: &buffer) {
                fid(&$0)
                $0.writeInteger(UInt32.max, endianness: .little)
                user(&$0)
                name(&$0)
            }
        case 8:
            Self.frame(108, tag: tag, into: &buffer) {
                $0.writeInteger(UInt16(reader.byte() & 0x1f), endianness: .little)
            }
        case 9...12: Self.frame(110, tag: tag, into: &buffer) { walk(&$0) }
        case 13, 14:
            Self.frame(112, tag: tag, into: &buffer) {
                fid(&$0); mode(&$0)
            }
        case 15, 16:
            Self.frame(114, tag: tag, into: &buffer) {
                fid(&$0)
                name(&$0)
                $0.writeInteger(permissions(), endianness: .little)
                mode(&$0)
            }
        case 17...19:
            Self.frame(116, tag: tag, into: &buffer) {
                fid(&$0)
                offset(&$0)
                let counts: [UInt32] = [0, 1, 64, 4096, 65536, .max]
                $0.writeInteger(counts[reader.number(below: counts.count)], endianness: .little)
            }
        case 20...23: Self.frame(118, tag: tag, into: &buffer) { write(&$0) }
        case 24, 25: Self.frame(120, tag: tag, into: &buffer) { fid(&$0) }
        case 26: Self.frame(122, tag: tag, into: &buffer) { fid(&$0) }
        case 27: Self.frame(124, tag: tag, into: &buffer) { fid(&$0) }
        case 28...30: Self.frame(126, tag: tag, into: &buffer) { wstat(&$0) }
        default: Self.frame(reader.byte(), tag: tag, into: &buffer) { fid(&$0) }
        }
        return buffer
    }

    private static func frame(
        _ type: UInt8, tag: UInt16, into buffer: inout ByteBuffer,
        _ body: (inout ByteBuffer) -> Void
    ) {
        var contents = ByteBuffer()
        body(&contents)
        buffer.writeInteger(UInt32(contents.readableBytes + 7), endianness: .little)
        buffer.writeInteger(type)
        buffer.writeInteger(tag, endianness: .little)
        buffer.writeBuffer(&contents)
    }

    private static func string(_ bytes: [UInt8], into body: inout ByteBuffer) {
        body.writeInteger(UInt16(bytes.count), endianness: .little)
        body.writeBytes(bytes)
    }

    /// Mostly a new one, so that most requests are not refused.
    private mutating func tag() -> UInt16 {
        nextTag = (nextTag + 1) & 0x1f
        return nextTag
    }

    private mutating func fid(_ body: inout ByteBuffer) {
        let choice = reader.byte()
        let number = choice < 0xf0 ? UInt32(choice & 7) : UInt32.max - UInt32(choice & 1)
        body.writeInteger(number, endianness: .little)
    }

    private mutating func name(_ body: inout ByteBuffer) {
        Self.string(anyName(), into: &body)
    }

    private mutating func anyName() -> [UInt8] {
        let choice = Int(reader.byte())
        if choice < 0xc0 { return Self.names[choice % Self.names.count] }
        if choice < 0xe0 { return Array(reader.bytes(choice & 0x1f)) }
        return Array(repeating: reader.byte(), count: choice == 0xff ? 3000 : 230 + (choice & 0x1f))
    }

    private mutating func user(_ body: inout ByteBuffer) {
        Self.string(Self.users[reader.number(below: Self.users.count)], into: &body)
    }

    private mutating func version(_ body: inout ByteBuffer) {
        let sizes: [UInt32] = [0, 100, 256, 300, 8192, 65536, .max]
        body.writeInteger(sizes[reader.number(below: sizes.count)], endianness: .little)
        let texts = ["9P2000", "9P2000.L", "9P1", ""]
        Self.string(Array(texts[reader.number(below: texts.count)].utf8), into: &body)
    }

    private mutating func walk(_ body: inout ByteBuffer) {
        fid(&body)
        fid(&body)
        let count = Int(reader.byte() % 18)
        body.writeInteger(UInt16(count), endianness: .little)
        for _ in 0..<count { name(&body) }
    }

    private mutating func mode(_ body: inout ByteBuffer) {
        body.writeInteger(reader.byte())
    }

    private mutating func permissions() -> UInt32 {
        let choice = reader.byte()
        let low = UInt32(choice & 0x0f) * 0o111
        switch choice >> 4 {
        case 0...5: return low
        case 6...9: return low | 1 << 31
        case 10: return low | 1 << 30
        case 11: return low | 1 << 29
        case 12: return low | 1 << 26
        default: return reader.integer(UInt32.self)
        }
    }

    private mutating func offset(_ body: inout ByteBuffer) {
        let choice = Int(reader.byte())
        let number =
            choice < 0xf0
            ? Self.offsets[choice % Self.offsets.count] : reader.integer(UInt64.self)
        body.writeInteger(number, endianness: .little)
    }

    private mutating func write(_ body: inout ByteBuffer) {
        fid(&body)
        offset(&body)
        let choice = Int(reader.byte())
        let data: [UInt8]
        if choice < 0xc0 {
            data = Array(reader.bytes(choice & 0x3f))
        } else {
            data = Array(repeating: reader.byte(), count: (choice & 0x3f) * 900)
        }
        body.writeInteger(UInt32(data.count), endianness: .little)
        body.writeBytes(data)
    }

    private mutating func wstat(_ body: inout ByteBuffer) {
        fid(&body)
        let touched = reader.byte()
        var stat = ByteBuffer()
        stat.writeRepeatingByte(0xff, count: 2 + 4 + 13)
        stat.writeInteger(touched & 1 != 0 ? permissions() : .max, endianness: .little)
        stat.writeInteger(UInt32.max, endianness: .little)
        stat.writeInteger(
            touched & 2 != 0 ? reader.integer(UInt32.self) : .max, endianness: .little)
        if touched & 4 != 0 { offset(&stat) } else { stat.writeInteger(UInt64.max) }
        Self.string(touched & 8 != 0 ? anyName() : [], into: &stat)
        Self.string(touched & 16 != 0 ? anyName() : [], into: &stat)
        Self.string(touched & 32 != 0 ? anyName() : [], into: &stat)
        Self.string(touched & 64 != 0 ? anyName() : [], into: &stat)
        var size = UInt16(stat.readableBytes)
        if touched & 128 != 0 { size = reader.integer(UInt16.self) }
        body.writeInteger(UInt16(stat.readableBytes + 2), endianness: .little)
        body.writeInteger(size, endianness: .little)
        body.writeBuffer(&stat)
    }
}
