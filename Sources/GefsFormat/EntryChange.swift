/// The payload of a `wstat` message: a byte of flags, then the fields whose bit is set.
///
/// Source: FORMAT 6.4.
enum EntryChange {
    static let length: UInt8 = 0x01
    static let mode: UInt8 = 0x02
    static let modificationTime: UInt8 = 0x04
    static let accessTime: UInt8 = 0x08
    static let uid: UInt8 = 0x10
    static let gid: UInt8 = 0x20
    static let muid: UInt8 = 0x40
    /// Dialect N defines it and neither writes nor applies it.
    static let qidPath: UInt8 = 0x80

    /// Sizes of the fields from the lowest bit up.
    private static let fieldBytes: [8 of Int] = [8, 4, 8, 8, 4, 4, 4, 8]

    /// The size of a payload with these flags.
    static func byteCount(flags: UInt8) -> Int {
        var byteCount = 1
        for bit in 0..<8 where flags & (1 << bit) != 0 {
            byteCount += fieldBytes[bit]
        }
        return byteCount
    }

    /// Applies a payload whose size was checked to an encoded directory entry.
    static func apply(_ payload: UnsafeRawPointer, to entry: UnsafeMutableRawPointer) {
        typealias Layout = DirectoryEntry.Layout
        let flags = payload.load(as: UInt8.self)
        var position = payload + 1
        func copy<Value>(_ bit: UInt8, to field: ByteField<Value>) {
            guard flags & bit != 0 else { return }
            entry[field] = position.loadBigEndian(at: 0, as: Value.self)
            position += MemoryLayout<Value>.size
        }
        entry[Layout.qidVersion] = entry[Layout.qidVersion] &+ 1
        copy(length, to: Layout.length)
        copy(mode, to: Layout.mode)
        if flags & mode != 0 {
            entry[Layout.qidType] = UInt8(truncatingIfNeeded: entry[Layout.mode] >> 24)
        }
        copy(modificationTime, to: Layout.modificationTime)
        copy(accessTime, to: Layout.accessTime)
        copy(uid, to: Layout.uid)
        copy(gid, to: Layout.gid)
        copy(muid, to: Layout.muid)
    }
}

extension MessageView {
    /// The time of modification that the message gives to a directory entry, in nanoseconds since
    /// 1970; nil where it gives none.
    public var modificationTime: Int64? {
        switch kind {
        case .insert:
            guard let kind = key.first.flatMap(KeyKind.init(rawValue:)),
                kind == .entry || kind == .inode
            else { return nil }
            return (try? DirectoryEntry(decoding: payload))?.modificationTime
        case .wstat:
            guard let flags = payload.first, flags & EntryChange.modificationTime != 0 else {
                return nil
            }
            let before = EntryChange.byteCount(
                flags: flags & (EntryChange.modificationTime - 1))
            guard before + MemoryLayout<Int64>.size <= payload.count,
                let base = payload.baseAddress
            else { return nil }
            return base.loadBigEndian(at: before, as: Int64.self)
        case .delete, .clearb, .clobber, .relink, .reprev, .incref: return nil
        }
    }
}
