import GefsFormat

/// What a request needs of a file.
struct Permission: OptionSet {
    var rawValue: UInt32

    static let execute = Permission(rawValue: 1)
    static let write = Permission(rawValue: 2)
    static let read = Permission(rawValue: 4)
}

/// Owner, group and mode of a file: what permissions are decided by.
struct Protection: Sendable {
    var owner: UserID
    var group: UserID
    var mode: UInt32

    init(_ entry: DirectoryEntry) {
        owner = UserID(rawValue: entry.uid)
        group = UserID(rawValue: entry.gid)
        mode = entry.mode
    }

    /// Whether one of the sets that apply to the caller grants all of `wanted`.
    ///
    /// Source: SEMANTICS 7, "Access".
    func allows(_ wanted: Permission, to caller: Caller, users: UserTable) -> Bool {
        if caller.isPermissive { return true }
        let bits = wanted.rawValue
        let others = mode & bits == bits
        if caller.user == users.none { return others }
        if caller.user == owner, (mode >> 6) & bits == bits { return true }
        if (mode >> 3) & bits == bits, users.isMember(caller.user, of: group) { return true }
        if users.isMember(caller.user, of: users.nogroup) {
            return others && wanted == .execute && mode & ModeBits.directory != 0
        }
        return others
    }
}

/// Which names a file may have. Source: SEMANTICS 4, Tcreate; 12.8; Docs/FORMAT.md 12.5.
enum FileName {
    /// A name in a directory.
    struct Place: Hashable, Sendable {
        /// The qid of the directory; all ones for a root.
        var parent: UInt64
        /// Empty for a root.
        var name: [UInt8]

        /// Key of the directory entry.
        var key: Key { Key.entry(parent: parent, name: name) }
    }

    /// - Parameter isPosix: whether the volume allows every byte but 0 and `/`.
    static func check(_ name: UnsafeRawBufferPointer, isPosix: Bool) throws(FileError) {
        if name.isEmpty { throw .badName }
        if name.count > bytesMax(isPosix: isPosix) { throw .nameTooLong }
        if name.count == 1, name[0] == UInt8(ascii: ".") { throw .badName }
        if name.count == 2, name[0] == UInt8(ascii: "."), name[1] == UInt8(ascii: ".") {
            throw .badName
        }
        let lowest: UInt8 = isPosix ? 1 : 0x20
        for byte in name where byte < lowest || byte == UInt8(ascii: "/") {
            throw .badName
        }
    }

    static func bytesMax(isPosix: Bool) -> Int {
        isPosix ? Geometry.posixNameBytesMax : Geometry.nameBytesMax
    }
}
