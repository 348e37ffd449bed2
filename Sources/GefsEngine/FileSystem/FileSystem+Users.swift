import GefsFormat

/// The users file, `/users` of label `adm`. Source: SEMANTICS 7.
extension FileSystem {
    private static let usersCaller = Caller(user: .adm, isPermissive: true)

    /// Reads the users file; a broken one leaves the table as it is.
    ///
    /// - Throws: `.badUsersFile` with the line, also where there is no file; `.fileTooBig`, errors
    ///   of reading.
    public func reloadUsers() throws(FileError) {
        do throws(FileError) {
            use(try UserTable(parsing: try usersFile(of: LabelName.adm).text))
        } catch .notFound {
            throw .badUsersFile(line: 1, .empty)
        }
    }

    /// The users that the tree of a label has, if it is used as `adm`.
    ///
    /// - Throws: as `reloadUsers()`, and `.notFound` where it has no users file.
    public func users(of label: String) throws(FileError) -> UserTable {
        try UserTable(parsing: try usersFile(of: Array(label.utf8)).text)
    }

    /// The text of the users file, broken or not, and which version of the file has it.
    ///
    /// - Throws: `.notFound`, `.fileTooBig`, errors of reading.
    public func usersFile() throws(FileError) -> (text: [UInt8], version: UInt32) {
        try usersFile(of: LabelName.adm)
    }

    private func usersFile(
        of label: [UInt8]
    ) throws(FileError) -> (text: [UInt8], version: UInt32) {
        let caller = Self.usersCaller
        let handle = try walkToUsers(of: label, as: caller)
        defer { close(handle) }
        // Before the text is read, so that a change in between is noticed by who replaces it.
        let version = handle.qid.version
        let length = try status(handle, as: caller).length
        guard length < UInt64(UserTable.fileBytesMax) else { throw .fileTooBig }
        try open(handle, OpenMode(.read), as: caller)
        var bytes = [UInt8](repeating: 0, count: Int(length))
        let count = try readAll(handle, into: &bytes, as: caller)
        return (Array(bytes[..<count]), version)
    }

    /// Does not count as a use of `adm`, which would get snapshots of its own.
    private func walkToUsers(
        of label: [UInt8] = LabelName.adm, as caller: Caller
    ) throws(FileError) -> FileHandle {
        let root = try attach(label: label, as: caller)
        defer { close(root) }
        return try Array("users".utf8).withBytes { (name) throws(FileError) -> FileHandle in
            try walk(from: root, name, as: caller)
        }
    }

    /// Puts another text in place of the users file, and its users in place of those before; both
    /// are durable on return.
    ///
    /// Whatever a crash leaves is a whole users file: one write puts the new text in place; where
    /// that is shorter, empty lines cover the rest of the old one, until the file is cut.
    /// - Returns: false, with nothing done, where the file is no longer of that version.
    /// - Throws: `.badUsersFile` where the text is refused; errors of writing.
    public func replaceUsersFile(
        _ text: [UInt8], ofVersion version: UInt32
    ) throws(FileError) -> Bool {
        guard text.count < UserTable.fileBytesMax else { throw .fileTooBig }
        let table = try UserTable(parsing: text)
        let caller = Self.usersCaller
        let handle = try walkToUsers(as: caller)
        defer { close(handle) }
        try open(handle, OpenMode(.write), as: caller)
        guard handle.qid.version == version else { return false }
        let oldLength = try status(handle, as: caller).length
        var bytes = text
        let missing = Int(oldLength) - bytes.count
        bytes += [UInt8](repeating: UInt8(ascii: "\n"), count: max(0, missing))
        _ = try bytes.withBytes { (bytes) throws(FileError) -> Int in
            try write(handle, at: 0, from: bytes, as: caller)
        }
        if missing > 0 {
            var changes = AttributeChanges()
            changes.length = UInt64(text.count)
            try change(handle, changes, as: caller)
        }
        try sync(as: caller)
        use(table)
        return true
    }

    func readAll(
        _ handle: FileHandle, into bytes: inout [UInt8], as caller: Caller
    ) throws(FileError) -> Int {
        let result = bytes.withUnsafeMutableBytes { (buffer) -> Result<Int, FileError> in
            do throws(FileError) {
                return .success(try read(handle, at: 0, into: buffer, as: caller))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
