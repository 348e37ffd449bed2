import NineP
import Testing

@Suite struct CodecTests {
    @Test func `every request survives decoding and encoding`() throws {
        let samples = try WireSamples.requests()
        #expect(samples.count == MessageType.allCases.count { $0.isRequest })
        for bytes in samples { #expect(try WireSamples.reencodeRequest(bytes) == bytes) }
    }

    @Test func `every reply survives decoding and encoding`() throws {
        let samples = try WireSamples.replies()
        #expect(samples.count == MessageType.allCases.count { !$0.isRequest })
        for bytes in samples { #expect(try WireSamples.reencodeReply(bytes) == bytes) }
    }

    @Test func `every truncation of every message is an error`() throws {
        for bytes in try WireSamples.requests() {
            for count in 7..<bytes.count {
                let short = WireSamples.resized(bytes, to: count)
                #expect(throws: ProtocolError.self) { try WireSamples.reencodeRequest(short) }
            }
        }
        for bytes in try WireSamples.replies() {
            for count in 7..<bytes.count {
                let short = WireSamples.resized(bytes, to: count)
                #expect(throws: ProtocolError.self) { try WireSamples.reencodeReply(short) }
            }
        }
    }

    @Test func `bytes behind the last field are an error`() throws {
        for bytes in try WireSamples.requests() {
            let long = WireSamples.resized(bytes, to: bytes.count + 1)
            #expect(throws: ProtocolError.self) { try WireSamples.reencodeRequest(long) }
        }
        for bytes in try WireSamples.replies() {
            let long = WireSamples.resized(bytes, to: bytes.count + 1)
            #expect(throws: ProtocolError.self) { try WireSamples.reencodeReply(long) }
        }
    }

    @Test func `a frame is not there before its last byte`() throws {
        for bytes in try WireSamples.requests() {
            for count in 0..<bytes.count {
                let part = Array(bytes.prefix(count))
                let isComplete = try part.withUnsafeBytes { buffer in
                    try Frame(firstOf: buffer, limit: 1 << 20) != nil
                }
                #expect(!isComplete)
            }
        }
    }

    @Test func `a size below a header or above the limit is an error`() throws {
        for size in 0..<7 {
            let bytes = WireSamples.resized([0, 0, 0, 0, 100, 0, 0], to: 7)
            var wrong = bytes
            wrong[0] = UInt8(size)
            #expect(throws: ProtocolError.frameTooShort(byteCount: size)) {
                try WireSamples.withFrame(wrong) { _ in }
            }
        }
        let large: [UInt8] = [0xff, 0xff, 0xff, 0xff, 100, 0, 0]
        #expect(throws: ProtocolError.frameTooLong(byteCount: 0xffff_ffff, limit: 1 << 20)) {
            try WireSamples.withFrame(large) { _ in }
        }
    }

    @Test func `a walk of seventeen names is an error`() throws {
        var body: [UInt8] = [1, 0, 0, 0, 2, 0, 0, 0, 17, 0]
        for _ in 0..<17 { body += [1, 0, 0x61] }
        let bytes = WireSamples.resized([0, 0, 0, 0, 110, 0, 0] + body, to: 7 + body.count)
        #expect(throws: ProtocolError.tooManyNames(count: 17)) {
            try WireSamples.reencodeRequest(bytes)
        }
    }

    @Test func `a walk lends its names in order`() throws {
        let names = (0..<16).map { Array(repeating: UInt8($0 + 0x41), count: $0) }
        let bytes = try WireSamples.encode { (buffer) throws(ProtocolError) in
            try Twalk.encode(
                tag: Tag(rawValue: 0), fid: FidNumber(rawValue: 1), newFid: FidNumber(rawValue: 2),
                names: names, into: buffer)
        }
        try WireSamples.withFrame(bytes) { frame in
            guard case .walk(let message) = try Request(frame) else {
                Issue.record("not a walk")
                return
            }
            #expect(message.names.map { Array($0) } == names)
        }
    }

    @Test func `replies are no requests, and no message has type 106`() throws {
        for type in 0...255 where !(MessageType(rawValue: UInt8(type))?.isRequest ?? false) {
            let bytes = WireSamples.resized([0, 0, 0, 0, UInt8(type), 0, 0], to: 7)
            #expect(throws: ProtocolError.unknownType(UInt8(type))) {
                try WireSamples.reencodeRequest(bytes)
            }
        }
    }

    @Test func `random bytes never trap`() throws {
        var random = SeededRandom()
        for round in 0..<200_000 {
            let count = Int.random(in: 7...120, using: &random)
            var bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            bytes = WireSamples.resized(bytes, to: count)
            bytes[4] = UInt8.random(in: 98...130, using: &random)
            if round % 2 == 0 {
                // Small numbers make string lengths that nearly fit.
                for index in 7..<count where Bool.random(using: &random) { bytes[index] &= 7 }
            }
            if let again = try? WireSamples.reencodeRequest(bytes) { #expect(again == bytes) }
            if let again = try? WireSamples.reencodeReply(bytes) { #expect(again == bytes) }
        }
    }

    @Test func `a changed byte in a valid message never traps`() throws {
        let samples = try WireSamples.requests() + WireSamples.replies()
        for bytes in samples {
            for index in 4..<bytes.count {
                for value in [0, 1, 0x7f, 0x80, 0xfe, 0xff] as [UInt8] {
                    var changed = bytes
                    changed[index] = value
                    _ = try? WireSamples.reencodeRequest(changed)
                    _ = try? WireSamples.reencodeReply(changed)
                }
            }
        }
    }

    @Test func `encoding into a buffer that is too small is an error and writes nothing past it`()
        throws
    {
        let message = Rstat(stat: WireSamples.stat)
        let full = try WireSamples.encode(message)
        for count in 0..<full.count {
            var memory = [UInt8](repeating: 0xa5, count: full.count + 8)
            #expect(throws: ProtocolError.doesNotFit) {
                try memory.withUnsafeMutableBytes { buffer in
                    _ = try message.encode(
                        tag: Tag(rawValue: 1),
                        into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(count)))
                }
            }
            #expect(memory[count...].allSatisfy { $0 == 0xa5 })
        }
    }

    @Test func `a string of 65536 bytes cannot be encoded`() throws {
        let long = [UInt8](repeating: 0x61, count: 65536)
        #expect(throws: ProtocolError.doesNotFit) {
            _ = try long.withUnsafeBytes { text in try WireSamples.encode(Rerror(text: text)) }
        }
    }

    @Test func `the header of a read reply is written around its data`() throws {
        var memory = [UInt8](repeating: 0, count: 64)
        let count = try memory.withUnsafeMutableBytes { buffer in
            buffer[11] = 0x61
            buffer[12] = 0x62
            return try Rread.encodeHeader(tag: Tag(rawValue: 7), dataBytes: 2, into: buffer)
        }
        #expect(Array(memory.prefix(count)) == [13, 0, 0, 0, 117, 7, 0, 2, 0, 0, 0, 0x61, 0x62])
        #expect(throws: ProtocolError.doesNotFit) {
            try memory.withUnsafeMutableBytes { buffer in
                _ = try Rread.encodeHeader(tag: Tag(rawValue: 7), dataBytes: 54, into: buffer)
            }
        }
    }

    @Test func `9P2000 with anything behind a dot is 9P2000`() {
        let cases: [(StaticString, Bool)] = [
            ("9P2000", true), ("9P2000.u", true), ("9P2000.L", true), ("9P2000.", true),
            ("9P2000u", false), ("9P200", false), ("9P1000", false), ("", false), ("9p2000", false),
        ]
        for (text, isOurs) in cases {
            let message = Tversion(messageBytesMax: 8192, version: text.wireBytes)
            #expect(message.asksFor9P2000 == isOurs, "\(text)")
        }
    }
}
