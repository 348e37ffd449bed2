import ArgumentParser
import GefsControl
import GefsEngine

/// The users file of label `adm`, as it can be edited: comments and order stay.
///
/// Source: SEMANTICS 7, "Users file".
struct UsersFile {
    /// `id:name:leader:members`.
    struct Line: Equatable {
        var id: Int32
        var name: String
        var leader: String?
        var members: [String]

        fileprivate var text: String {
            "\(id):\(name):\(leader ?? ""):\(members.joined(separator: ","))"
        }
    }

    private enum Entry {
        case user(Line)
        /// A comment or an empty line.
        case other(String)
    }

    static let target = TargetPath("adm:/users")

    private var entries: [Entry]
    private let originalBytes: Int

    /// Reads and validates the file.
    init(reading session: ImageSession) throws {
        var bytes: [UInt8] = []
        try session.readContents(of: Self.target) { offset, piece in
            let missing = Int(offset) - bytes.count
            bytes += [UInt8](repeating: 0, count: max(0, missing))
            bytes += piece
            guard bytes.count < UserTable.fileBytesMax else {
                throw CommandFailure(Self.target.shown, "the users file is too big")
            }
        }
        try self.init(bytes)
    }

    /// Validates the text of a users file and takes it apart.
    init(_ bytes: [UInt8]) throws {
        try Self.validate(bytes)
        originalBytes = bytes.count
        let text = ByteText.string(bytes)
        entries = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map {
            Self.parse(String($0))
        }
    }

    private static func parse(_ text: String) -> Entry {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard !text.hasPrefix("#"), fields.count == 4, let id = Int32(fields[0]) else {
            return .other(text)
        }
        return .user(
            Line(
                id: id, name: fields[1], leader: fields[2].isEmpty ? nil : fields[2],
                members: fields[3].split(separator: ",").map(String.init)))
    }

    private static func validate(_ bytes: [UInt8]) throws {
        do {
            _ = try UserTable(parsing: bytes)
        } catch {
            var failure = CommandFailure(target.shown, error)
            if case .badUsersFile(_, let fault) = error {
                failure.why = "the users file would be refused: \(fault.words)"
                failure.next = nil
            }
            throw failure
        }
    }

    /// Users and groups in the order of the file.
    var users: [Line] {
        entries.compactMap { if case .user(let line) = $0 { line } else { nil } }
    }

    /// A number above all that are in use, and below nogroup's.
    var nextID: Int32 {
        let taken = Set(users.map(\.id))
        return (1...Int32.max).first { !taken.contains($0) && $0 != UserID.nogroup.rawValue } ?? 1
    }

    func line(of name: String) throws -> Line {
        guard let line = users.first(where: { $0.name == name }) else {
            throw CommandFailure(
                ByteText.shown(name), "no such user", next: "gefs users list shows them")
        }
        return line
    }

    mutating func append(_ line: Line) {
        entries.append(.user(line))
    }

    /// Replaces the line of a user; nil removes it.
    mutating func update(_ name: String, _ body: (Line) -> Line?) {
        entries = entries.compactMap { entry in
            guard case .user(let line) = entry, line.name == name else { return entry }
            return body(line).map { .user($0) }
        }
    }

    /// Changes the line of a user and returns it.
    mutating func change(_ name: String, _ body: (inout Line) -> Void) throws -> Line {
        var line = try line(of: name)
        body(&line)
        update(name) { _ in line }
        return line
    }

    /// Writes the file so that whatever a crash leaves of it is a whole users file.
    ///
    /// One write puts the new text in place; where that is shorter, empty lines cover the rest of
    /// the old, until the file is cut.
    func write(to session: ImageSession) throws {
        let text = entries.map { entry in
            switch entry {
            case .user(let line): line.text + "\n"
            case .other(let text): text + "\n"
            }
        }
        var bytes = ByteText.bytes(of: text.joined())
        try Self.validate(bytes)
        let finalBytes = bytes.count
        bytes += [UInt8](repeating: UInt8(ascii: "\n"), count: max(0, originalBytes - finalBytes))
        let file = try session.file(at: Self.target)
        defer { file.close() }
        try file.open(OpenMode(.write))
        try bytes.withUnsafeBytes { try file.write($0, at: 0) }
        if bytes.count > finalBytes {
            try file.change(FileChange(size: UInt64(finalBytes)))
        }
    }
}

/// Options of verbs that edit the users file.
struct UserEditOptions: ParsableArguments {
    @OptionGroup var image: ImageOptions
    @OptionGroup var output: OutputOptions

    /// Changes the file, commits, and lets a running server read it again.
    ///
    /// - Parameters:
    ///   - operands: the image and names.
    ///   - count: how many names there have to be.
    ///   - body: changes the file and returns the line it is about.
    func change(
        _ operands: [String], count: Int, _ console: Console,
        _ body: (inout UsersFile, [String]) throws -> UsersFile.Line
    ) throws {
        let (image, names) = try image.split(operands)
        guard names.count == count else {
            throw ValidationError("Expected \(count) names behind the image.")
        }
        for name in names { try Self.check(name) }
        try ImageSession.with(image, for: .writing, user: nil, console) { session in
            var file = try UsersFile(reading: session)
            let line = try body(&file, names)
            try file.write(to: session)
            try session.reloadUsers()
            if console.isJSON { try console.object(UserReport(line)) }
        }
    }

    private static func check(_ name: String) throws {
        let isUsable =
            !name.isEmpty && name.utf8.count <= UserTable.nameBytesMax && !name.hasPrefix("#")
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f && !":,/".utf8.contains($0) }
        guard isUsable else {
            throw CommandFailure(
                ByteText.shown(name), "is no name for a user: no spaces, colons, commas, slashes",
                status: .usage)
        }
    }
}
