import GefsControl
import GefsEngine
import GefsFuse

/// The mounts of an image that this process serves.
final class ServedMounts: @unchecked Sendable {
    private struct Mount {
        var session: MountSession
        var directory: String
    }

    /// Whether the process ends when nothing is mounted any more.
    let endsProcess: Bool
    private let fileSystem: FileSystem
    private let image: String
    private let lock = Lock()
    /// lock.
    private var mounts: [Int: Mount] = [:]
    /// lock. What the file `.gefs/ctl` of a mount does.
    private var perform: (@Sendable (String) -> (answer: String, isDone: Bool))?
    /// lock. Mounts so far.
    private var count = 0
    /// lock.
    private var isEnding = false

    init(_ fileSystem: FileSystem, image: String, endsWithMounts: Bool) {
        self.fileSystem = fileSystem
        self.image = image
        endsProcess = endsWithMounts
    }

    /// From now on mounts can carry out commands.
    func use(_ service: ControlService) {
        let console = ControlConsole(service)
        lock.locked {
            perform = { line in
                // They would wait for this very request to be answered.
                let ending = ["halt", "mount", "unmount"]
                if let word = ControlWords.split(line).first, ending.contains(word) {
                    return ("\(word): not from within a mount\n", false)
                }
                var answer = ""
                let isDone = console.perform(line) { answer += $0 }
                return (answer, isDone)
            }
        }
    }

    /// Where something is mounted, in the order in which it was.
    var directories: [String] {
        lock.locked { mounts.sorted { $0.key < $1.key }.map(\.value.directory) }
    }

    /// Mounts; returns when the directory can be used.
    ///
    /// - Throws: `CommandFailure`.
    func mount(on directory: String, _ words: MountWords) throws {
        guard words.identityMap != .numeric || fileSystem.isPosix || words.isForced else {
            throw CommandFailure(
                ByteText.shown(image),
                "idmap=numeric on a volume that knows its users by name: 9P clients would see none",
                next:
                    "--force does it all the same; a volume made with --features posix is for this",
                status: .usage)
        }
        var options = words.options(source: image)
        options.perform = lock.locked { perform }
        let session: MountSession
        do throws(MountError) {
            session = try MountSession(fileSystem, at: directory, options)
            try session.mount()
        } catch {
            throw failure(error, directory, words)
        }
        let number = lock.locked { () -> Int? in
            guard !isEnding else { return nil }
            count += 1
            mounts[count] = Mount(session: session, directory: directory)
            return count
        }
        guard let number else {
            session.abandon()
            throw CommandFailure(ByteText.shown(image), "is being closed", status: .busy)
        }
        let isStarted = DetachedThread.start { [self] in
            session.run()
            remove(number)
        }
        guard isStarted else {
            session.abandon()
            remove(number)
            throw failure(.outOfThreads, directory, words)
        }
    }

    private func remove(_ number: Int) {
        lock.locked {
            mounts[number] = nil
            lock.signal()
        }
    }

    /// Waits until nothing is mounted.
    func waitUntilNone() {
        lock.locked {
            while !mounts.isEmpty { lock.wait() }
            isEnding = isEnding || endsProcess
        }
    }

    /// Lets the kernel forget what it has looked at beside the branches; false where nothing is mounted.
    func forgetVisits() -> Bool {
        let sessions = lock.locked { mounts.values.map(\.session) }
        for session in sessions { session.forgetVisits() }
        return !sessions.isEmpty
    }

    /// Unmounts what is on a directory, in use or not; false where nothing is.
    func end(_ directory: String) -> Bool {
        let found = lock.locked {
            mounts.filter { $0.value.directory == directory }.max { $0.key < $1.key }
        }
        guard let (number, mount) = found else { return false }
        mount.session.unmount()
        lock.locked { while mounts[number] != nil { lock.wait() } }
        return true
    }

    /// Unmounts everything, also what is in use, and lets nothing be mounted any more.
    func endAll() {
        let sessions = lock.locked { () -> [MountSession] in
            isEnding = true
            return mounts.values.map(\.session)
        }
        for session in sessions { session.unmount() }
        lock.locked { while !mounts.isEmpty { lock.wait() } }
    }

    private func failure(
        _ error: MountError, _ directory: String, _ words: MountWords
    ) -> CommandFailure {
        switch error {
        case .attach(let error): CommandFailure(ByteText.shown(words.branch ?? "main"), error)
        case .outOfThreads: CommandFailure(ByteText.shown(directory), FileError.outOfThreads)
        case .refused, .options, .negotiation:
            CommandFailure(ByteText.shown(directory), "cannot be mounted on")
        }
    }
}
