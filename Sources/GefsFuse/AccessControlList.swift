/// A POSIX access control list, as Linux writes it in an extended attribute.
///
/// The kernel decides by it who may do what; ours is what changes with a file's mode, and what new
/// files take over from their directory. Source: acl(5), `linux/posix_acl_xattr.h`.
struct AccessControlList: Equatable {
    static let access = Array("system.posix_acl_access".utf8)
    static let standard = Array("system.posix_acl_default".utf8)

    struct Entry: Equatable {
        var tag: UInt16
        /// Read 4, write 2, execute 1.
        var permissions: UInt16
        var id: UInt32
    }

    private enum Tag {
        static let owner: UInt16 = 0x01
        static let user: UInt16 = 0x02
        static let owningGroup: UInt16 = 0x04
        static let group: UInt16 = 0x08
        static let mask: UInt16 = 0x10
        static let others: UInt16 = 0x20
    }

    private static let version: UInt32 = 2
    private static let headerBytes = 4
    private static let entryBytes = 8

    var entries: [Entry]

    /// Nil for bytes that are no list.
    init?(_ value: [UInt8]) {
        guard value.count >= Self.headerBytes,
            (value.count - Self.headerBytes) % Self.entryBytes == 0,
            Self.number(value[..<Self.headerBytes]) == Self.version
        else { return nil }
        entries = stride(from: Self.headerBytes, to: value.count, by: Self.entryBytes).map { at in
            Entry(
                tag: UInt16(Self.number(value[at..<(at + 2)])),
                permissions: UInt16(Self.number(value[(at + 2)..<(at + 4)])),
                id: Self.number(value[(at + 4)..<(at + 8)]))
        }
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }

    var value: [UInt8] {
        func bytes(_ number: UInt32, _ count: Int) -> [UInt8] {
            (0..<count).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) }
        }
        return bytes(Self.version, 4)
            + entries.flatMap {
                bytes(UInt32($0.tag), 2) + bytes(UInt32($0.permissions), 2) + bytes($0.id, 4)
            }
    }

    /// Whether a mode says the same.
    var isMinimal: Bool {
        entries.allSatisfy { [Tag.owner, Tag.owningGroup, Tag.others].contains($0.tag) }
    }

    /// The permissions that a mode has beside the list: its group's are those of the mask.
    var permissions: UInt32 {
        let groupTag = entries.contains { $0.tag == Tag.mask } ? Tag.mask : Tag.owningGroup
        return entries.reduce(0) { mode, entry in
            switch entry.tag {
            case Tag.owner: mode | UInt32(entry.permissions & 7) << 6
            case groupTag: mode | UInt32(entry.permissions & 7) << 3
            case Tag.others: mode | UInt32(entry.permissions & 7)
            default: mode
            }
        }
    }

    /// The list after `chmod`.
    func with(permissions: UInt32) -> AccessControlList {
        masked(by: permissions) { _, new in new }
    }

    /// The list of a new file of this mode in a directory whose default list this is.
    func inherited(by permissions: UInt32) -> AccessControlList {
        masked(by: permissions) { $0 & $1 }
    }

    private func masked(
        by permissions: UInt32, _ combine: (UInt16, UInt16) -> UInt16
    ) -> AccessControlList {
        let groupTag = entries.contains { $0.tag == Tag.mask } ? Tag.mask : Tag.owningGroup
        var list = self
        for index in entries.indices {
            let shift: UInt32? =
                switch entries[index].tag {
                case Tag.owner: 6
                case groupTag: 3
                case Tag.others: 0
                default: nil
                }
            guard let shift else { continue }
            list.entries[index].permissions = combine(
                entries[index].permissions, UInt16(permissions >> shift & 7))
        }
        return list
    }
}
