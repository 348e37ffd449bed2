import GefsFormat

/// Values and payloads as text.
enum ValueOutline {
    /// The value of a key; bytes if it is not what the key demands.
    static func value(_ value: UnsafeRawBufferPointer, of key: UnsafeRawBufferPointer) -> String {
        guard let kind = key.first.flatMap(KeyKind.init(rawValue:)) else { return bytes(value) }
        return outline(value, kind) ?? bytes(value)
    }

    private static func outline(_ value: UnsafeRawBufferPointer, _ kind: KeyKind) -> String? {
        switch kind {
        case .data:
            guard value.count == BlockPointer.byteCount, let base = value.baseAddress else {
                return nil
            }
            return BlockPointer(decoding: base).outline
        case .entry, .inode:
            if let link = LinkRecord(value) {
                return "link to \(link.qidPath), mode 0\(String(link.kind, radix: 8))"
            }
            return (try? DirectoryEntry.decodingAnyLength(value)).map(entry)
        case .up:
            return Key(value).outline
        case .label:
            return (try? LabelRecord(decoding: value)).map {
                "snapshot \($0.generation), flags \(hexadecimal(UInt64($0.flags)))"
            }
        case .snapshot:
            return (try? SnapshotRecord(decoding: value)).map(snapshot)
        case .deadlist:
            return (try? DeadlistRecord(decoding: value)).map {
                "from \($0.head.outline) to \($0.tail.outline)"
            }
        case .config, .attribute:
            return "\"\(printable(value))\""
        case .link:
            return value.isEmpty ? "" : nil
        }
    }

    private static func entry(_ entry: DirectoryEntry, length: UInt64) -> String {
        "qid \(entry.qidPath).\(entry.qidVersion) type \(hexadecimal(UInt64(entry.qidType))) "
            + "mode 0\(String(entry.mode, radix: 8)) length \(length) "
            + "mtime \(entry.modificationTime) atime \(entry.accessTime) "
            + "uid \(entry.uid) gid \(entry.gid) muid \(entry.muid) "
            + "flags \(hexadecimal(entry.flags))"
            + (entry.posix.map {
                " ctime \($0.changeTime) links \($0.linkCount)"
                    + ($0.hasAttributes ? " attributes" : "")
                    + ($0.mayHaveHoles ? " holes" : "")
            } ?? "")
    }

    private static func snapshot(_ record: SnapshotRecord) -> String {
        "generation \(record.generation) references \(record.referenceCount) "
            + "labels \(record.labelCount) height \(record.height) "
            + "predecessor \(record.predecessor) successor \(record.successor) "
            + "base \(record.base) root \(record.root.outline)"
    }

    /// What a message brings along.
    static func payload(
        _ payload: UnsafeRawBufferPointer, _ kind: MessageKind?, of key: UnsafeRawBufferPointer
    ) -> String {
        switch kind {
        case .insert: value(payload, of: key)
        case .wstat: change(payload) ?? bytes(payload)
        case .relink, .reprev, .incref: link(payload) ?? bytes(payload)
        case .delete, .clearb, .clobber, nil: payload.isEmpty ? "" : bytes(payload)
        }
    }

    /// The fields that a wstat message sets, in the order of their bits (FORMAT 6.4).
    private static let fields: [(name: String, byteCount: Int)] = [
        ("length", 8), ("mode", 4), ("mtime", 8), ("atime", 8), ("uid", 4), ("gid", 4),
        ("muid", 4), ("qid", 8),
    ]

    private static func change(_ payload: UnsafeRawBufferPointer) -> String? {
        guard let base = payload.baseAddress, let flags = payload.first else { return nil }
        var words: [String] = []
        var offset = 1
        for (bit, field) in fields.enumerated() where flags >> bit & 1 != 0 {
            guard offset + field.byteCount <= payload.count else { return nil }
            let value =
                field.byteCount == 8
                ? base.loadBigEndian(at: offset, as: Int64.self)
                : Int64(base.loadBigEndian(at: offset, as: Int32.self))
            let text = field.name == "mode" ? "0" + octal(value) : String(value)
            words.append("\(field.name) \(text)")
            offset += field.byteCount
        }
        guard offset == payload.count else { return nil }
        return words.isEmpty ? "touch" : words.joined(separator: " ")
    }

    private static func octal(_ value: Int64) -> String {
        String(UInt32(truncatingIfNeeded: value), radix: 8)
    }

    private static func link(_ payload: UnsafeRawBufferPointer) -> String? {
        guard let base = payload.baseAddress, payload.count == 10 else { return nil }
        let link = Generation(rawValue: base.loadBigEndian(at: 0, as: UInt64.self))
        let labels = base.loadBigEndian(at: 8, as: Int8.self)
        let references = base.loadBigEndian(at: 9, as: Int8.self)
        return "link \(link) labels \(labels) references \(references)"
    }

    /// Bytes that mean nothing.
    static func bytes(_ bytes: UnsafeRawBufferPointer) -> String {
        let digits = bytes.prefix(64).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
        return "bytes " + digits.joined() + (bytes.count > 64 ? "…" : "")
    }
}
