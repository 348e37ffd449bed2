import CFuse3
import GefsEngine
import Glibc
import Synchronization

/// What somebody who mounts a branch may choose.
public struct MountOptions: Sendable {
    /// What the kernel calls the source: shown by `mount` and `df`.
    public var source = "gefs"
    /// The branch, or a moment of one: see `FileSystem.resolve`.
    public var label: [UInt8] = Array("main".utf8)
    public var isReadOnly = false
    /// Other users of the host may use the mount, too.
    public var allowsOthers = false
    /// More options of mount(8) that the kernel is to see, such as `nosuid`.
    public var kernelOptions: [String] = []
    /// All labels are shown, each as a directory, in place of one branch.
    public var showsAllLabels = false
    /// The hidden directory `.gefs` is there.
    public var showsControl = true
    /// Carries out a command of the console: what it says, and whether it was done. Nil: there is
    /// nobody who can.
    public var perform: (@Sendable (String) -> (answer: String, isDone: Bool))?
    /// How owners are matched; nil: by number where the volume has the feature `posix`, by name
    /// elsewhere.
    public var identityMap: IdentityMap?
    /// Threads that answer the kernel at most, where requests come over the device.
    public var threadsMax = 10
    /// Requests may come over io_uring, where the kernel can.
    public var mayUseRing = true
    /// Where errors go that the kernel can only call EIO.
    public var complain: @Sendable (String) -> Void = { _ in }

    public init() {}
}

/// Why a mount is not made.
public enum MountError: Error, Hashable {
    /// libfuse has said why on standard error.
    case refused
    case attach(FileError)
    case options
    case outOfThreads
    /// The kernel and libfuse do not come to terms.
    case negotiation
}

/// A branch as the host's kernel sees it, from its mount until its end.
///
/// libfuse's threads call the functions of `operations`, which translate the kernel's requests into
/// calls of the engine and its answers back; nothing else is kept here.
public final class MountSession: @unchecked Sendable {
    let fileSystem: FileSystem
    let owners: OwnerMap
    let root: Inode
    let inodes: InodeTable
    let buffers = ReadBuffers()
    /// Set before the kernel is heard.
    private(set) var connection = Connection(mayUseRing: false, mayClearPrivileges: false)
    let isReadOnly: Bool
    let showsControl: Bool
    /// A handle on it is in no tree.
    static let noLabel = Array("dump".utf8)
    /// Trees beside the one that is mounted, by the names of their labels. Numbers are not used again.
    private let trees = Mutex<[[UInt8]: UInt32]>([:])
    /// Files `ctl` that were looked up so far.
    private let conversations = Atomic<UInt64>(0)
    /// Seconds that the kernel may believe what it was told: it is told when that changes.
    let timeout = 86400.0
    private(set) var caller = Caller(user: .none, isPermissive: true)

    private let directory: String
    private let options: MountOptions
    private let lock = Lock()
    /// lock.
    private var session: OpaquePointer?
    private var invalidation: Invalidation?
    private var ring: RingTransport?

    private static let doors = Atomic<Int>(0)

    /// - Throws: `.attach` where there is no such branch.
    public init(
        _ fileSystem: FileSystem, at directory: String, _ options: MountOptions
    ) throws(MountError) {
        self.fileSystem = fileSystem
        self.directory = directory
        self.options = options
        owners = OwnerMap(
            fileSystem,
            options.identityMap ?? ((try? fileSystem.ownersAreNames()) ?? true ? .names : .numeric))
        let door = Self.doors.wrappingAdd(1, ordering: .relaxed).newValue
        caller = Caller(
            user: .none, isPermissive: true, door: door, cachesContents: true)
        do throws(FileError) {
            if options.showsAllLabels {
                root = Inode(
                    handle: try fileSystem.attach(Self.noLabel, as: caller),
                    at: .virtual(.labels), virtual: .labels)
            } else {
                let handle = try fileSystem.attach(options.label, as: caller)
                let qidPath = try fileSystem.posixStatus(handle).qidPath
                root = Inode(handle: handle, at: InodePlace(tree: 0, qidPath: qidPath))
            }
        } catch {
            throw .attach(error)
        }
        inodes = InodeTable(fileSystem, root: root)
        showsControl = options.showsControl && !options.showsAllLabels
        isReadOnly =
            options.isReadOnly || fileSystem.isReadOnly
            || (!options.showsAllLabels && !root.handle.isMutable)
    }

    /// Mounts. From then on the kernel may ask; it is answered while `run` goes on.
    ///
    /// Requests come over io_uring where the kernel has that and it works, or else over the device.
    public func mount() throws(MountError) {
        var isMade = false
        if options.mayUseRing {
            isMade = try KernelRing.withOffer { (isOffered) throws(MountError) -> Bool in
                guard isOffered, let ring = try? RingTransport(complain: options.complain) else {
                    return false
                }
                defer { if self.ring == nil { ring.stop() } }
                return try connect(over: ring)
            }
        }
        if !isMade { _ = try connect(over: nil) }
        guard let session = lock.locked({ session }) else { return }
        let invalidation = Invalidation(
            session: session, inodes: inodes, owners: owners, door: caller.door)
        do throws(MountError) {
            try invalidation.start()
        } catch {
            disconnect()
            throw error
        }
        lock.locked { self.invalidation = invalidation }
        fileSystem.add(invalidation.observer(of: 0), on: root.handle)
    }

    /// - Returns: false where the kernel offers the ring, but it does not work: nothing is mounted.
    private func connect(over ring: RingTransport?) throws(MountError) -> Bool {
        var words = ["fsname=\(options.source)", "subtype=gefs", "default_permissions"]
        words.append("max_read=\(Self.transferBytesMax)")
        if isReadOnly { words.append("ro") }
        if options.allowsOthers { words.append("allow_other") }
        words += options.kernelOptions
        var arguments = fuse_args()
        defer { fuse_opt_free_args(&arguments) }
        for word in ["gefs", "-o", words.joined(separator: ",")]
        where fuse_opt_add_arg(&arguments, word) != 0 {
            throw .options
        }
        var operations = Self.operations
        let this = Unmanaged.passUnretained(self).toOpaque()
        guard
            let session = fuse_session_new(
                &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size, this)
        else { throw .refused }
        guard fuse_session_mount(session, directory) == 0 else {
            fuse_session_destroy(session)
            throw .refused
        }
        lock.locked { self.session = session }
        connection = Connection(
            mayUseRing: ring != nil, mayClearPrivileges: fileSystem.isPosix)
        do throws(MountError) {
            try connection.negotiate(session)
        } catch {
            disconnect()
            throw error
        }
        guard let ring, connection.usesRing else { return true }
        self.ring = ring
        do throws(RingError) {
            try ring.connect(session, fuse_session_fd(session))
        } catch {
            options.complain("io_uring: \(error)")
            disconnect()
            return false
        }
        return true
    }

    /// Ends the connection with the kernel. Programs that use the mount get ENOTCONN.
    private func disconnect() {
        // Until here it answers, also what is in the way of an invalidation.
        ring?.stop()
        ring = nil
        let last = lock.locked { () -> OpaquePointer? in
            defer { session = nil }
            return session
        }
        guard let last else { return }
        fuse_session_unmount(last)
        fuse_session_destroy(last)
    }

    /// Answers the kernel until the file system is unmounted. Returns when nobody asks any more and
    /// all files are closed; what was written is in memory until the volume commits.
    public func run() {
        defer { abandon() }
        guard let session = lock.locked({ session }) else { return }
        if connection.usesRing {
            fuse_session_loop(session)
            return
        }
        guard let configuration = fuse_loop_cfg_create() else { return }
        fuse_loop_cfg_set_clone_fd(configuration, 0)
        fuse_loop_cfg_set_max_threads(configuration, UInt32(options.threadsMax))
        fuse_loop_cfg_set_idle_threads(configuration, UInt32(options.threadsMax))
        fuse_session_loop_mt(session, configuration)
        fuse_loop_cfg_destroy(configuration)
    }

    /// Ends a mount that nobody runs. Programs that use it get ENOTCONN.
    public func abandon() {
        if let invalidation {
            fileSystem.remove(invalidation.observer(of: 0), from: root.handle)
            invalidation.stop()
        }
        guard lock.locked({ session != nil }) else { return }
        disconnect()
        inodes.close()
    }

    /// Asks for the end: the mount goes away, also if it is in use, and `run` returns.
    public func unmount() {
        let isMounted = lock.locked { () -> Bool in
            guard let session else { return false }
            fuse_session_exit(session)
            return true
        }
        guard isMounted else { return }
        if connection.usesRing { return connection.requestEnd() }
        // The threads see it when they have answered the next request: this one.
        var space = statvfs()
        statvfs(directory, &space)
    }

    /// Bytes of one read or write of the kernel at most.
    static let transferBytesMax = 1 << 20

    /// What has to be told to somebody who looks for the reason of an EIO.
    func note(_ error: FileError) {
        switch error {
        case .corrupt, .badRecord, .missingRoot, .store, .device:
            options.complain("\(error)")
        default: break
        }
    }
}

extension MountSession {
    /// What a name in a virtual directory is; counts as a lookup.
    ///
    /// - Throws: `.notFound`.
    func lookUp(_ name: [UInt8], in directory: VirtualNode) throws(FileError) -> fuse_entry_param {
        if let node = directory.member(name) { return try entry(node) }
        guard let state = directory.state(name, of: options.label) else { throw .notFound }
        let handle: FileHandle
        do throws(FileError) {
            handle = try fileSystem.attach(state, as: caller)
        } catch .unknownLabel, .branchName {
            throw .notFound
        }
        guard !handle.isDump else { throw .notFound }
        let label = handle.label
        let tree = trees.withLock { trees -> UInt32 in
            if let known = trees[label] { return known }
            let next = UInt32(trees.count + 1)
            trees[label] = next
            return next
        }
        if handle.isMutable, let invalidation = lock.locked({ invalidation }) {
            let observer = invalidation.observer(of: tree)
            fileSystem.remove(observer, from: handle)
            fileSystem.add(observer, on: handle)
        }
        let status = try fileSystem.posixStatus(handle)
        var entry = entry(handle, status, in: tree)
        // Labels come and go, and moments pass.
        entry.entry_timeout = 1
        lock.locked { invalidation }?.noteVisit(
            of: name, in: directory, root: InodePlace(tree: tree, qidPath: status.qidPath))
        return entry
    }

    /// Lets the kernel forget, soon, the states beside the branch that nobody is in.
    public func forgetVisits() {
        lock.locked { invalidation }?.endVisits()
    }

    /// The place of one more file `ctl`.
    func nextConversation() -> InodePlace {
        .conversation(conversations.wrappingAdd(1, ordering: .relaxed).newValue)
    }

    /// The kernel is to read a file anew that changes while nobody writes to it.
    func forgetContents(of inode: Inode) {
        lock.locked { invalidation }?.noteContents(of: inode.place)
    }

    /// Waits a little until it knows that it is to.
    func settleContents() {
        lock.locked { invalidation }?.settle()
    }

    /// Carries out a command of the console.
    var perform: @Sendable (String) -> (answer: String, isDone: Bool) {
        options.perform ?? { _ in ("nobody is there to do it\n", false) }
    }
}
