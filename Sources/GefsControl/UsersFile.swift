import GefsEngine

/// The users file of label `adm`, as it can be edited: comments and order stay.
///
/// Source: SEMANTICS 7, "Users file".
public struct UsersFile {
    /// `id:name:leader:members`.
    public struct Line: Equatable {
        public var id: Int32
        public var name: String
        public var leader: String?
        public var members: [String]

        public init(id: Int32, name: String, leader: String?, members: [String]) {
            self.id = id
            self.name = name
            self.leader = leader
            self.members = members
        }

        var text: String {
            "\(id):\(name):\(leader ?? ""):\(members.joined(separator: ","))"
        }
    }

    private enum Entry {
        case user(Line)
        /// A comment or an empty line.
        case other(String)
    }

    static let place = "adm:/users"

    private var entries: [Entry]

    /// Validates the text of a users file and takes it apart.
    public init(_ bytes: [UInt8]) throws {
        try Self.validate(bytes)
        // By bytes, as the server does: to a `String` a line's end with a carriage return before it,
        // or a colon with an accent behind it, would be another character.
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        entries = lines.dropLast().map(Self.parse)
    }

    private static func parse(_ line: ArraySlice<UInt8>) -> Entry {
        let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard line.first != UInt8(ascii: "#"), fields.count == 4,
            let id = Int32(String(decoding: fields[0], as: UTF8.self))
        else { return .other(ByteText.string(line)) }
        return .user(
            Line(
                id: id, name: ByteText.string(fields[1]),
                leader: fields[2].isEmpty ? nil : ByteText.string(fields[2]),
                members: fields[3].split(separator: UInt8(ascii: ",")).map(ByteText.string)))
    }

    private static func validate(_ bytes: [UInt8]) throws {
        do {
            _ = try UserTable(parsing: bytes)
        } catch {
            var failure = CommandFailure(place, error)
            if case .badUsersFile(_, let fault) = error {
                failure.why = "the users file would be refused: \(fault.words)"
                failure.next = nil
            }
            throw failure
        }
    }

    /// Users and groups in the order of the file.
    public var users: [Line] {
        entries.compactMap { if case .user(let line) = $0 { line } else { nil } }
    }

    /// A number above all that are in use, and below nogroup's.
    public var nextID: Int32 {
        let taken = Set(users.map(\.id))
        return (1...Int32.max).first { !taken.contains($0) && $0 != UserID.nogroup.rawValue } ?? 1
    }

    public func line(of name: String) throws -> Line {
        guard let line = users.first(where: { $0.name.isSame(as: name) }) else {
            throw CommandFailure(
                ByteText.shown(name), "no such user", next: "gefs users list shows them")
        }
        return line
    }

    public mutating func append(_ line: Line) {
        entries.append(.user(line))
    }

    /// Replaces the line of a user; nil removes it.
    public mutating func update(_ name: String, _ body: (Line) -> Line?) {
        entries = entries.compactMap { entry in
            guard case .user(let line) = entry, line.name.isSame(as: name) else { return entry }
            return body(line).map { .user($0) }
        }
    }

    /// Changes every line in the same way.
    public mutating func updateAll(_ body: (inout Line) -> Void) {
        entries = entries.map { entry in
            guard case .user(var line) = entry else { return entry }
            body(&line)
            return .user(line)
        }
    }

    /// Changes the line of a user and returns it.
    public mutating func change(_ name: String, _ body: (inout Line) -> Void) throws -> Line {
        var line = try line(of: name)
        body(&line)
        update(name) { _ in line }
        return line
    }

    /// The file's text.
    ///
    /// - Throws: `CommandFailure` where the text would be refused.
    public func bytes() throws -> [UInt8] {
        let text = entries.map { entry in
            switch entry {
            case .user(let line): line.text + "\n"
            case .other(let text): text + "\n"
            }
        }
        let bytes = ByteText.bytes(of: text.joined())
        try Self.validate(bytes)
        return bytes
    }
}

extension String {
    /// Whether both are the same name: names are bytes, and letters that look alike are not.
    func isSame(as other: String) -> Bool { utf8.elementsEqual(other.utf8) }
}

/// A user, or a group.
public struct UserReport: Report {
    public static var type: String { "user" }
    public var id: Int32
    public var name: String
    public var leader: String?
    public var members: [String]

    public init(_ line: UsersFile.Line) {
        id = line.id
        name = line.name
        leader = line.leader
        members = line.members
    }

    /// As in the users file.
    var text: String {
        UsersFile.Line(id: id, name: name, leader: leader, members: members).text
    }
}
