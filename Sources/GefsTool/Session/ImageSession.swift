import GefsControl
import GefsEngine

/// The files of an image, over 9P: through the server that holds it, or through one in this
/// process on the image that it has opened.
///
/// One implementation of each verb serves both. Used by one thread.
final class ImageSession {
    typealias Use = ImageHolder.Use

    /// Both sides of a copy lie in the image: owners and groups are kept, which takes the rights of
    /// group adm, and reads do not run ahead of the writes that share their connection.
    var copiesWithin = false

    private let image: String
    private let link: SessionLink
    /// The volume, where what 9P has no words for may be done to it directly.
    var posixVolume: FileSystem? { chosenUser == nil ? link.posixVolume : nil }
    private let console: Console
    private let chosenUser: [UInt8]?
    private var roots: [[UInt8]: SessionFile] = [:]
    /// The last directory walked to: files are mostly visited one directory after the other.
    private var lastDirectory: (target: TargetPath, file: SessionFile)?

    /// Opens a session, runs `body`, and closes it. What was changed is durable on return.
    static func with(
        _ image: String, for use: Use, _ options: SessionOptions, _ console: Console,
        _ body: (ImageSession) throws -> Void
    ) throws {
        try with(image, for: use, user: options.user, console, body)
    }

    /// Opens a session as a user, runs `body`, and closes it. What was changed is durable on
    /// return, and after an error, too.
    static func with(
        _ image: String, for use: Use, user: String?, _ console: Console,
        _ body: (ImageSession) throws -> Void
    ) throws {
        let link = try SessionLink(image, for: use, console: console)
        let session = ImageSession(image, link, user: user, console)
        let result = Result { try body(session) }
        let ending = Result { try session.finish(use) }
        try result.get()
        try ending.get()
    }

    private init(_ image: String, _ link: SessionLink, user: String?, _ console: Console) {
        self.image = image
        self.link = link
        self.console = console
        chosenUser = user.map { ByteText.bytes(of: $0) }
    }

    private func finish(_ use: Use) throws {
        let synced = Result {
            // A volume of this process commits when it is closed.
            if use == .writing, link.isRemote, let root = roots.values.first { try root.sync() }
        }
        lastDirectory?.file.close()
        lastDirectory = nil
        for root in roots.values { root.close() }
        roots = [:]
        try link.close()
        try synced.get()
    }

    // MARK: Places

    /// What to say of a target that is not there.
    static func missing(_ target: TargetPath) -> CommandFailure {
        CommandFailure(target.shown, "no such file or directory")
    }

    /// A file that is to be closed by the caller.
    func file(at target: TargetPath) throws -> SessionFile {
        guard let file = try fileIfAny(at: target) else { throw Self.missing(target) }
        return file
    }

    /// A file that is to be closed by the caller; nil where there is none.
    func fileIfAny(at target: TargetPath) throws -> SessionFile? {
        guard let name = target.name else { return try root(of: target).walk([], to: target) }
        guard let directory = try directory(target.parent) else { return nil }
        return try directory.walk([name], to: target)
    }

    /// A directory that stays open for the next file in it; nil where there is none.
    private func directory(_ target: TargetPath) throws -> SessionFile? {
        if let lastDirectory, lastDirectory.target == target { return lastDirectory.file }
        guard let file = try root(of: target).walk(target.elements, to: target) else { return nil }
        lastDirectory?.file.close()
        lastDirectory = (target, file)
        return file
    }

    /// Forgets directories that may have been renamed or removed.
    private func forgetDirectories() {
        lastDirectory?.file.close()
        lastDirectory = nil
    }

    private func root(of target: TargetPath) throws -> SessionFile {
        let branch = target.branchName
        if let root = roots[branch] { return root }
        let root = try attach(branch)
        roots[branch] = root
        return root
    }

    /// Attaches a branch without permission checks where that is granted, else as the user.
    private func attach(_ branch: [UInt8]) throws -> SessionFile {
        let target = TargetPath(branch: branch)
        for user in try candidates() {
            for tree in [[UInt8(ascii: "%")] + branch, branch] {
                do {
                    return try link.attach(user: user, tree: tree, target)
                } catch let refusal as RemoteRefusal {
                    switch refusal.kind {
                    case .noPermission where tree != branch: continue
                    case .unknownUser where chosenUser == nil && user != Self.administrator: break
                    case .unknownTree: throw missingBranch(branch)
                    default: throw refusal.failure(about: ByteText.shown(branch))
                    }
                    break
                }
            }
        }
        throw CommandFailure(ByteText.shown(image), "nobody may attach", status: .permission)
    }

    private static let administrator = Array("adm".utf8)

    /// Users to try: the one that was chosen; else who runs the tool, then adm.
    private func candidates() throws -> [[UInt8]] {
        if let chosenUser { return [chosenUser] }
        let login = (try? LoginName.current()).map { Array($0.utf8) }
        return [login, Self.administrator].compactMap { $0 }
    }

    private func missingBranch(_ branch: [UInt8]) -> CommandFailure {
        let isState = branch.contains(UInt8(ascii: "@")) || branch.contains(UInt8(ascii: "~"))
        if isState, let refusal = link.refusal(of: branch) {
            return refusal.about(ByteText.shown(branch))
        }
        return CommandFailure(
            ByteText.shown(branch), "no such branch or snapshot",
            next: "gefs snap list \(ByteText.shown(image)) shows them")
    }

    // MARK: Looking

    func status(of target: TargetPath) throws -> FileEntry {
        guard let entry = try statusIfAny(of: target) else { throw Self.missing(target) }
        return entry
    }

    func statusIfAny(of target: TargetPath) throws -> FileEntry? {
        guard let file = try fileIfAny(at: target) else { return nil }
        defer { file.close() }
        let entry = try file.status()
        if target.requiresDirectory, !entry.isDirectory {
            throw CommandFailure(target.shown, "is no directory")
        }
        return entry
    }

    /// What is in a directory, in the order of the disk.
    func entries(of target: TargetPath) throws -> [FileEntry] {
        let file = try file(at: target)
        defer { file.close() }
        guard file.isDirectory else { throw CommandFailure(target.shown, "is no directory") }
        return try file.entries()
    }

    /// Hands out the contents of a file in order.
    func readContents(
        of target: TargetPath, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let file = try file(at: target)
        defer { file.close() }
        guard !file.isDirectory else { throw CommandFailure(target.shown, "is a directory") }
        try file.open(OpenMode(.read))
        try file.readAll(runsAhead: !copiesWithin, body)
    }

    /// Calls `body` for a file, and for all that is below it, directories before their contents
    /// and siblings by name.
    func visit(
        _ start: TargetPath, recursively: Bool = true, maxDepth: Int = .max,
        _ body: (TargetPath, FileEntry) throws -> Void
    ) throws {
        var pending = [(start, try status(of: start), 0)]
        while let (target, entry, depth) = pending.popLast() {
            try Interruption.check()
            try body(target, entry)
            guard recursively, entry.isDirectory, depth < maxDepth else { continue }
            let children = try entries(of: target).sorted {
                $1.name.lexicographicallyPrecedes($0.name)
            }
            pending += children.map { (target.appending($0.name), $0, depth + 1) }
        }
    }

    /// Bytes that can still be written; nil where the server does not tell.
    func freeBytes() throws -> UInt64? {
        try link.freeBytes()
    }

    // MARK: Changing

    func makeDirectory(_ target: TargetPath, mode: UInt32) throws {
        guard let name = target.name else { throw CommandFailure(target.shown, "exists already") }
        guard let parent = try directory(target.parent) else {
            throw CommandFailure(
                target.shown, "no such directory: \(target.parent.shown)",
                next: "say -p to make it, too")
        }
        let file = try parent.duplicate(target)
        defer { file.close() }
        try file.create(name, mode: mode, OpenMode(.read))
        // The parent's mode has limited what was asked for.
        if try file.status().mode != mode { try file.change(FileChange(mode: mode)) }
    }

    /// Makes a directory and those above it that are missing.
    func makeDirectories(_ target: TargetPath, mode: UInt32) throws {
        if let existing = try statusIfAny(of: target) {
            guard existing.isDirectory else {
                throw CommandFailure(target.shown, "exists and is no directory")
            }
            return
        }
        try makeDirectories(target.parent, mode: ModeBits.directory | 0o775)
        try makeDirectory(target, mode: mode)
    }

    /// Makes a file, or empties the one that is there; it is open for writing, and to be closed.
    func createFile(at target: TargetPath) throws -> SessionFile {
        guard let name = target.name else { throw CommandFailure(target.shown, "is a directory") }
        if let file = try fileIfAny(at: target) {
            do {
                try file.open(OpenMode(.write, truncates: true))
                return file
            } catch {
                file.close()
                throw error
            }
        }
        guard let parent = try directory(target.parent) else {
            throw CommandFailure(target.shown, "no such directory: \(target.parent.shown)")
        }
        let file = try parent.duplicate(target)
        do {
            try file.create(name, mode: 0o666, OpenMode(.write))
            return file
        } catch {
            file.close()
            throw error
        }
    }

    func change(_ target: TargetPath, _ change: FileChange) throws {
        let file = try file(at: target)
        defer { file.close() }
        try file.change(change)
        if change.name != nil { forgetDirectories() }
    }

    /// Removes a file or an empty directory.
    func remove(_ target: TargetPath) throws {
        if let lastDirectory, lastDirectory.target.isInside(target) { forgetDirectories() }
        try file(at: target).remove()
    }

    /// Removes a file, or a directory with all that is in it; `removed` is called for each.
    func removeTree(
        _ start: TargetPath, _ entry: FileEntry, removed: (TargetPath) throws -> Void
    ) throws {
        // Each directory is met twice: first to list it, then, when it is empty, to remove it.
        var pending = [(target: start, isDirectory: entry.isDirectory, isListed: false)]
        while let (target, isDirectory, isListed) = pending.popLast() {
            try Interruption.check()
            guard isDirectory, !isListed else {
                try remove(target)
                try removed(target)
                continue
            }
            pending.append((target, true, true))
            pending += try entries(of: target).map {
                (target.appending($0.name), $0.isDirectory, false)
            }
        }
    }
}
