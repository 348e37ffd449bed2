import GefsControl
import GefsEngine

/// Users files, as anybody in group `adm` can write them.
public struct UserFuzz: FuzzTarget {
    public static let name = "users"

    public init() {}

    public func run(_ input: UnsafeRawBufferPointer) throws {
        let bytes = Array(input)
        guard let table = try? UserTable(parsing: bytes) else {
            return try promise(
                (try? UsersFile(bytes)) == nil, "an editor takes what servers refuse")
        }
        for user in table.users {
            try promise(table.id(of: user.name) == user.id, "a user has another's number")
            try promise(table.name(of: user.id) == user.name, "a user has another's name")
            _ = table.isLeader(user.id, of: .adm)
            try promise(table.isMember(user.id, of: user.id), "nobody in a group of one")
        }
        try edit(bytes, table)
    }

    /// The editor sees the users that the server sees, and changes nothing else.
    private func edit(_ bytes: [UInt8], _ table: UserTable) throws {
        guard var file = try? UsersFile(bytes) else {
            throw FuzzFinding("an editor refuses what servers take")
        }
        try promise(
            file.users.map { ByteText.bytes(of: $0.name) } == table.users.map(\.name),
            "an editor sees other users")
        try promise(
            file.users.map(\.id) == table.users.map(\.id.rawValue), "an editor sees other numbers")
        guard let same = try? file.bytes(), let again = try? UserTable(parsing: same) else {
            throw FuzzFinding("an unchanged file is refused")
        }
        try promise(
            Self.lines(again) == Self.lines(table), "an unchanged file means something else")
        let id = file.nextID
        try promise(table.name(of: UserID(rawValue: id)) == nil, "the next number is taken")
        guard table.id(of: Array("fuzz".utf8)) == nil else { return }
        file.append(UsersFile.Line(id: id, name: "fuzz", leader: nil, members: ["adm"]))
        guard let longer = try? file.bytes(), let grown = try? UserTable(parsing: longer) else {
            return try promise(
                bytes.count + 64 > UserTable.fileBytesMax, "a file with one user more is refused")
        }
        try promise(
            grown.id(of: Array("fuzz".utf8))?.rawValue == id, "the new user is not there")
    }

    private static func lines(_ table: UserTable) -> [[Int32]] {
        table.users.map { user in
            [user.id.rawValue, user.leader?.rawValue ?? .min] + user.members.map(\.rawValue)
        }
    }
}
