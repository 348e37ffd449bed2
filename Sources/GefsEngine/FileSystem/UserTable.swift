/// Users and groups of a volume: the parsed `/users` file of label `adm`.
///
/// A user is a group of one at least; membership is one level deep. Source: SEMANTICS 7.
public struct UserTable: Sendable {
    /// One line of the file.
    public struct User: Sendable {
        public var id: UserID
        public var name: [UInt8]
        /// Nil where every member leads.
        public var leader: UserID?
        public var members: [UserID]
    }

    /// In the order of the file.
    public private(set) var users: [User] = []
    /// Number of user `none`.
    public private(set) var none = UserID.none
    /// Number of user and group `adm`.
    public private(set) var adm = UserID.adm
    /// Number of group `nogroup`.
    public private(set) var nogroup = UserID.nogroup

    private var indexOfID: [UserID: Int] = [:]
    private var indexOfName: [[UInt8]: Int] = [:]

    /// Bytes a users file may have at most. Source: SEMANTICS 7.
    public static let fileBytesMax = 1 << 20
    /// Bytes a user's name may have at most.
    public static let nameBytesMax = 127

    /// What a permissive server takes in place of a broken file. Source: SEMANTICS 7.
    public static let fallback: UserTable = {
        var table = UserTable()
        table.append(User(id: .adm, name: Array("adm".utf8), leader: nil, members: []))
        table.append(User(id: .none, name: Array("none".utf8), leader: nil, members: []))
        return table
    }()

    private init() {}

    /// Parses a users file: lines `id:name:leader:members`, `#` comments, empty lines.
    ///
    /// - Throws: `FileError.badUsersFile` with the line, or `.fileTooBig`.
    public init(parsing bytes: [UInt8]) throws(FileError) {
        guard bytes.count < Self.fileBytesMax else { throw .fileTooBig }
        guard !bytes.isEmpty else { throw .badUsersFile(line: 1, .empty) }
        var pending: [(line: Int, leader: ArraySlice<UInt8>, members: ArraySlice<UInt8>)] = []
        var line = 0
        var rest = bytes[...]
        while !rest.isEmpty {
            line += 1
            guard let end = rest.firstIndex(of: UInt8(ascii: "\n")) else {
                throw .badUsersFile(line: line, .missingNewline)
            }
            let text = rest[rest.startIndex..<end]
            rest = rest[(end + 1)...]
            if text.isEmpty || text.first == UInt8(ascii: "#") { continue }
            let fields = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            guard fields.count == 4 else {
                throw .badUsersFile(line: line, .wrongFieldCount(fields.count))
            }
            try parseUser(fields[0], fields[1], line: line)
            pending.append((line, fields[2], fields[3]))
        }
        guard !users.isEmpty else { throw .badUsersFile(line: line, .empty) }
        noteSpecialNames()
        for (index, item) in pending.enumerated() {
            try resolve(index, leader: item.leader, members: item.members, line: item.line)
        }
        for name in ["adm", "none"] where indexOfName[Array(name.utf8)] == nil {
            throw .badUsersFile(line: line, .missingUser(name))
        }
    }

    private mutating func parseUser(
        _ idField: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>, line: Int
    ) throws(FileError) {
        guard let id = Int32(String(decoding: idField, as: UTF8.self)) else {
            throw .badUsersFile(line: line, .badIdentifier)
        }
        guard !name.isEmpty, name.count <= Self.nameBytesMax else {
            throw .badUsersFile(line: line, .nameTooLong)
        }
        guard indexOfID[UserID(rawValue: id)] == nil else {
            throw .badUsersFile(line: line, .duplicateIdentifier)
        }
        guard indexOfName[Array(name)] == nil else {
            throw .badUsersFile(line: line, .duplicateName)
        }
        append(User(id: UserID(rawValue: id), name: Array(name), leader: nil, members: []))
    }

    private mutating func resolve(
        _ index: Int, leader: ArraySlice<UInt8>, members: ArraySlice<UInt8>, line: Int
    ) throws(FileError) {
        if !leader.isEmpty {
            guard let id = id(of: leader) else {
                throw .badUsersFile(line: line, .unknownLeader)
            }
            guard id != none else { throw .badUsersFile(line: line, .leaderIsNone) }
            users[index].leader = id
        }
        for member in members.split(separator: UInt8(ascii: ",")) {
            guard let id = id(of: member) else {
                throw .badUsersFile(line: line, .unknownMember)
            }
            users[index].members.append(id)
        }
    }

    private mutating func append(_ user: User) {
        indexOfID[user.id] = users.count
        indexOfName[user.name] = users.count
        users.append(user)
    }

    private mutating func noteSpecialNames() {
        none = id(of: Array("none".utf8)) ?? .none
        adm = id(of: Array("adm".utf8)) ?? .adm
        nogroup = id(of: Array("nogroup".utf8)) ?? .nogroup
    }

    /// Name of a user or group, nil where the number is unknown.
    public func name(of id: UserID) -> [UInt8]? {
        indexOfID[id].map { users[$0].name }
    }

    /// Number of the user or group of that name.
    public func id(of name: some Collection<UInt8>) -> UserID? {
        indexOfName[Array(name)].map { users[$0].id }
    }

    /// Whether the user is in the group: of the same number, or a member.
    public func isMember(_ user: UserID, of group: UserID) -> Bool {
        if user == group { return true }
        guard let index = indexOfID[group] else { return false }
        return users[index].members.contains(user)
    }

    /// Whether the user leads the group: its named leader, or any member where none is named.
    public func isLeader(_ user: UserID, of group: UserID) -> Bool {
        guard let index = indexOfID[group] else { return false }
        if let leader = users[index].leader { return leader == user }
        return isMember(user, of: group)
    }
}
