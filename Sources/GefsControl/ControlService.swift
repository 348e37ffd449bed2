import GefsEngine
import GefsFormat
import Synchronization

/// The commands of the console, on a volume that is open in this process.
///
/// The tool calls it directly on an image that it has opened itself, and through the control file
/// of its server on one that is being served. Commands may come from several threads at once.
public final class ControlService: Sendable {
    public typealias Reply = (any Report) throws -> Void

    let fileSystem: FileSystem
    let image: String
    let server: (any ServerControls)?
    /// Held while the users file is edited.
    let usersLock = Mutex(())
    /// Whether the one who started a long command wants it to end.
    let isCancelled: @Sendable () -> Bool

    public init(
        _ fileSystem: FileSystem, image: String, server: (any ServerControls)? = nil,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        self.fileSystem = fileSystem
        self.image = image
        self.server = server
        self.isCancelled = isCancelled
    }

    /// The commands, for `help`.
    public static let commands: [HelpReport.Command] = [
        .init(
            usage: "check [--strict] [--repair]",
            effect: "verify the last commit, or put right what can be; the server goes on"),
        .init(usage: "clear [BRANCH] KEY", effect: "clear a setting of the volume or of a branch"),
        .init(
            usage: "debug superblock|arena|log|block|tree ...",
            effect: "show structures of the disk"),
        .init(usage: "delsnap NAME", effect: "delete a branch or snapshot"),
        .init(
            usage: "df [--explain]",
            effect: "show how full the arenas are, or what holds the space"),
        .init(usage: "fork FROM NAME", effect: "make a branch"),
        .init(usage: "halt", effect: "finish, commit, close and end the server"),
        .init(usage: "help", effect: "list the commands"),
        .init(usage: "info", effect: "show what the volume is and who serves it"),
        .init(usage: "log BRANCH PATH", effect: "list the versions of a file in a branch's states"),
        .init(
            usage: "mount DIRECTORY [-o OPTIONS]",
            effect: "mount a branch on a directory of the server's machine"),
        .init(
            usage: "permit on|off", effect: "let anyone attach without permission checks, or not"),
        .init(
            usage: "reserve on|off",
            effect: "keep the reserve for deletions, or let every write use it"),
        .init(
            usage: "retain BRANCH|- SPEC...|none|default",
            effect: "set which automatic snapshots are kept"),
        .init(
            usage: "scrub [start] [--rate RATE] | status | pause | resume | cancel",
            effect: "verify all blocks, gently; the server goes on"),
        .init(
            usage: "set [BRANCH] KEY VALUE", effect: "make a setting of the volume or of a branch"),
        .init(usage: "show fid|tree [NAME]|users|bstate|free", effect: "show what is in memory"),
        .init(usage: "snap FROM NAME", effect: "make a snapshot; snap -m makes a branch"),
        .init(
            usage: "snap diff A B [PATH] [--stat]", effect: "list what two states do not have alike"
        ),
        .init(usage: "snap -l", effect: "list branches and snapshots"),
        .init(usage: "snap -d NAME", effect: "delete a branch or snapshot"),
        .init(
            usage: "snap list|create|fork|delete|rename|rollback|merge|thin ...",
            effect: "as gefs snap, without the image"),
        .init(usage: "sync", effect: "commit; done when everything is on the disk"),
        .init(
            usage: "undo FROM [--into BRANCH] [--delete] [--dry-run] PATH ...",
            effect: "bring files of a branch back to what they were"),
        .init(usage: "users", effect: "read the users file of label adm again"),
        .init(
            usage: "users add|remove|rename|leader|join|leave ...",
            effect: "as gefs users, without the image"),
        .init(
            usage: "unmount DIRECTORY", effect: "unmount what mount has mounted, in use or not"),
        .init(usage: "usereserve 0|1", effect: "as reserve on and off"),
    ]

    /// Runs a command and hands out what it has to say.
    ///
    /// - Throws: `CommandFailure`, and what `reply` throws.
    public func perform(_ words: [String], reply: Reply) throws -> ExitStatus {
        let arguments = Array(words.dropFirst())
        switch words.first {
        case "check": return try check(arguments, reply)
        case "clear", "clr": try clear(words, reply)
        case "debug": try debug(arguments, reply)
        case "df": try showSpace(arguments, reply)
        case "halt": try halt(reply)
        case "help": try reply(HelpReport(commands: Self.commands))
        case "info": try reply(try volumeReport())
        case "log": return try history(arguments, reply)
        case "mount": try mount(arguments, reply)
        case "permit": try permit(arguments, reply)
        case "delsnap", "fork": try label(words, reply)
        case "reserve", "usereserve": try reserve(words, reply)
        case "retain": try retain(arguments, reply)
        case "scrub": return try scrub(arguments, reply)
        case "save": try save(arguments, reply)
        case "set": try set(arguments, reply)
        case "show": try show(arguments, reply)
        case "snap": return try snapshots(arguments, reply)
        case "sync":
            try failing { () throws(FileError) in try sync() }
            try reply(MessageReport("synced"))
        case "undo": return try undo(arguments, reply)
        case "unmount": try unmount(arguments, reply)
        case "users": try users(arguments, reply)
        default:
            throw CommandFailure(
                "", "unknown command '\(words.joined(separator: " "))'",
                next: "help lists the commands", status: .usage)
        }
        return .done
    }

    func sync() throws(FileError) {
        try fileSystem.sync(as: Caller(user: .adm))
    }

    func failing<R>(_ body: () throws(FileError) -> R) throws(CommandFailure) -> R {
        do throws(FileError) {
            return try body()
        } catch {
            throw CommandFailure(image, error)
        }
    }

    private func halt(_ reply: Reply) throws {
        guard let server else {
            throw CommandFailure(image, "no server holds it", status: .failed)
        }
        do throws(FileError) {
            try settle()
        } catch {
            // A volume that refuses changes gets no better by being served on.
            if fileSystem.failure != nil { server.halt() }
            throw CommandFailure(image, error)
        }
        try reply(HaltReport(image: image, process: server.description.process))
        server.halt()
    }

    /// Makes durable what was acknowledged before a server ends.
    func settle() throws(FileError) {
        fileSystem.drainReclaims()
        try sync()
    }

    private func permit(_ arguments: [String], _ reply: Reply) throws {
        guard let server else { throw CommandFailure(image, "no server holds it") }
        guard arguments == ["on"] || arguments == ["off"] else {
            throw CommandFailure("permit", "usage: permit on|off", status: .usage)
        }
        let before = server.isPermissive
        server.isPermissive = arguments == ["on"]
        try reply(PermissiveReport(before: before, after: server.isPermissive))
    }

    /// Why the volume refuses changes, where something failed.
    var failureText: String? { fileSystem.failure.map { CommandFailure(image, $0).why } }

    private func volumeReport() throws -> VolumeReport {
        let superblock = try failing { () throws(FileError) in try fileSystem.lastCommit() }
        let space = fileSystem.space()
        let labels = try failing { () throws(FileError) in try fileSystem.labels() }
        return VolumeReport(
            image: image, format: Superblock.versionText(superblock.features),
            dialect: fileSystem.dialect.rawValue,
            deviceSize: fileSystem.device.byteCount, blockSize: UInt64(Geometry.blockBytes),
            size: space.size, used: space.used, available: space.available,
            arenas: space.arenas.count, labels: labels.count,
            branches: labels.count { $0.isMutable }, users: fileSystem.users.users.count,
            nextQid: superblock.nextQid, nextGeneration: superblock.nextGeneration.rawValue,
            commit: superblock.commitGeneration, readOnly: fileSystem.isReadOnly,
            failure: failureText,
            scrub: ScrubReport(fileSystem.scrubState),
            server: server?.description)
    }
}
