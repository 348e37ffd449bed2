import NineP

/// A message for every type, as bytes, and what it must decode to.
enum WireSamples {
    /// Encodes with a buffer of the size that is needed, or throws.
    static func encode(
        byteCountMax: Int = 70_000,
        _ body: (UnsafeMutableRawBufferPointer) throws(ProtocolError) -> Int
    ) throws -> [UInt8] {
        var failure: ProtocolError?
        let bytes = [UInt8](unsafeUninitializedCapacity: byteCountMax) { buffer, count in
            do throws(ProtocolError) {
                count = try body(UnsafeMutableRawBufferPointer(buffer))
            } catch {
                failure = error
                count = 0
            }
        }
        if let failure { throw failure }
        return bytes
    }

    static func encode(_ message: some Message, tag: UInt16 = 0x0201) throws -> [UInt8] {
        try encode { (buffer) throws(ProtocolError) in
            try message.encode(tag: Tag(rawValue: tag), into: buffer)
        }
    }

    /// Lends a text's bytes for as long as the test runs.
    static func text(_ text: StaticString) -> UnsafeRawBufferPointer { text.wireBytes }

    static var stat: Stat {
        var stat = Stat()
        stat.type = 0x1122
        stat.device = 0x3344_5566
        stat.qid = WireQid(type: 0x80, version: 7, path: 0x0102_0304_0506_0708)
        stat.mode = 0x8000_01ed
        stat.accessTime = 1
        stat.modificationTime = 2
        stat.length = 3
        stat.name = text("name")
        stat.user = text("glenda")
        stat.group = text("sys")
        stat.lastModifier = text("")
        return stat
    }

    static func requests() throws -> [[UInt8]] {
        let fid = FidNumber(rawValue: 0x0403_0201)
        let tag = Tag(rawValue: 5)
        return [
            try encode(Tversion(messageBytesMax: 8192, version: text("9P2000"))),
            try encode(Tauth(authFid: fid, userName: text("u"), attachName: text("main"))),
            try encode(Tattach(fid: fid, userName: text("glenda"), attachName: text("%main"))),
            try encode(Tflush(oldTag: tag)),
            try encode { (buffer) throws(ProtocolError) in
                try Twalk.encode(
                    tag: tag, fid: fid, newFid: FidNumber(rawValue: 2),
                    names: [[0x61], [], Array("dir".utf8)], into: buffer)
            },
            try encode(Topen(fid: fid, mode: 0x52)),
            try encode(Tcreate(fid: fid, name: text("new"), permissions: 0o644, mode: 1)),
            try encode(Tread(fid: fid, offset: 1 << 40, count: 4096)),
            try encode(Twrite(fid: fid, offset: 9, data: text("data"))),
            try encode(Tclunk(fid: fid)),
            try encode(Tremove(fid: fid)),
            try encode(Tstat(fid: fid)),
            try encode { (buffer) throws(ProtocolError) in
                try Twstat.encode(tag: tag, fid: fid, stat: stat, into: buffer)
            },
        ]
    }

    static func replies() throws -> [[UInt8]] {
        let qid = WireQid(type: 0x40, version: 0xffff_fffe, path: .max)
        var walk = Rwalk()
        walk.append(qid)
        walk.append(WireQid(type: 0, version: 1, path: 2))
        return [
            try encode(Rversion(messageBytesMax: 8192, version: text("9P2000"))),
            try encode(Rauth(qid: qid)),
            try encode(Rattach(qid: qid)),
            try encode(Rerror(text: text("directory entry not found"))),
            try encode(Rflush()),
            try encode(walk),
            try encode(Ropen(qid: qid, ioUnit: 8168)),
            try encode(Rcreate(qid: qid, ioUnit: 0)),
            try encode(Rread(data: text("contents"))),
            try encode(Rwrite(count: 8)),
            try encode(Rclunk()),
            try encode(Rremove()),
            try encode(Rstat(stat: stat)),
            try encode(Rwstat()),
        ]
    }

    /// Decodes as a request and encodes again.
    static func reencodeRequest(_ bytes: [UInt8]) throws -> [UInt8] {
        try withFrame(bytes) { frame in
            switch try Request(frame) {
            case .version(let message): try encode(message, tag: frame.tag.rawValue)
            case .auth(let message): try encode(message, tag: frame.tag.rawValue)
            case .attach(let message): try encode(message, tag: frame.tag.rawValue)
            case .flush(let message): try encode(message, tag: frame.tag.rawValue)
            case .walk(let message): try encode(message, tag: frame.tag.rawValue)
            case .open(let message): try encode(message, tag: frame.tag.rawValue)
            case .create(let message): try encode(message, tag: frame.tag.rawValue)
            case .read(let message): try encode(message, tag: frame.tag.rawValue)
            case .write(let message): try encode(message, tag: frame.tag.rawValue)
            case .clunk(let message): try encode(message, tag: frame.tag.rawValue)
            case .remove(let message): try encode(message, tag: frame.tag.rawValue)
            case .stat(let message): try encode(message, tag: frame.tag.rawValue)
            case .wstat(let message): try encode(message, tag: frame.tag.rawValue)
            }
        }
    }

    /// Decodes as a reply and encodes again.
    static func reencodeReply(_ bytes: [UInt8]) throws -> [UInt8] {
        try withFrame(bytes) { frame in
            switch try Reply(frame) {
            case .version(let message): try encode(message, tag: frame.tag.rawValue)
            case .auth(let message): try encode(message, tag: frame.tag.rawValue)
            case .attach(let message): try encode(message, tag: frame.tag.rawValue)
            case .error(let message): try encode(message, tag: frame.tag.rawValue)
            case .flush(let message): try encode(message, tag: frame.tag.rawValue)
            case .walk(let message): try encode(message, tag: frame.tag.rawValue)
            case .open(let message): try encode(message, tag: frame.tag.rawValue)
            case .create(let message): try encode(message, tag: frame.tag.rawValue)
            case .read(let message): try encode(message, tag: frame.tag.rawValue)
            case .write(let message): try encode(message, tag: frame.tag.rawValue)
            case .clunk(let message): try encode(message, tag: frame.tag.rawValue)
            case .remove(let message): try encode(message, tag: frame.tag.rawValue)
            case .stat(let message): try encode(message, tag: frame.tag.rawValue)
            case .wstat(let message): try encode(message, tag: frame.tag.rawValue)
            }
        }
    }

    /// Takes the one frame that the bytes are; an incomplete one is an error.
    static func withFrame<R>(_ bytes: [UInt8], _ body: (Frame) throws -> R) throws -> R {
        try bytes.withUnsafeBytes { buffer in
            guard let frame = try Frame(firstOf: buffer, limit: 1 << 20) else {
                throw ProtocolError.truncated(neededBytes: 0, availableBytes: bytes.count)
            }
            return try body(frame)
        }
    }

    /// The same body under another size.
    static func resized(_ bytes: [UInt8], to count: Int) -> [UInt8] {
        var bytes = Array(bytes.prefix(count))
        bytes += [UInt8](repeating: 0, count: max(0, count - bytes.count))
        for index in 0..<4 { bytes[index] = UInt8(truncatingIfNeeded: count >> (8 * index)) }
        return bytes
    }
}
