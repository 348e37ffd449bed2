import CFuse3
import GefsEngine
import Glibc

/// Tells the kernel what others have changed, so that it may believe its caches for ever.
///
/// The engine notes changes here under its locks; a thread of its own tells the kernel, which may
/// have to wait for requests that this process is still to answer.
final class Invalidation: @unchecked Sendable {
    private typealias Notice = (change: ObservedChange, tree: UInt32)

    /// What the kernel was told that a name in a virtual directory is.
    private struct Visit {
        var directory: VirtualNode
        var name: [UInt8]
        var root: InodePlace
        /// Nanoseconds of the monotonic clock.
        var time: Int64
    }

    private let door: Int
    private let session: OpaquePointer
    private let inodes: InodeTable
    private let owners: OwnerMap
    private let lock = Lock()
    /// lock.
    private var queue: [Notice] = []
    /// lock. Notices are being handed on.
    private var isTelling = false
    /// lock. By tree.
    private var observers: [UInt32: TreeObserver] = [:]
    /// lock. Names of other trees' roots that the kernel was told, and when.
    private var visits: [Visit] = []
    /// lock.
    private var isStopping = false
    private var thread: WorkerThread?

    init(session: OpaquePointer, inodes: InodeTable, owners: OwnerMap, door: Int) {
        self.owners = owners
        self.session = session
        self.inodes = inodes
        self.door = door
    }

    /// Who is told of the changes of a tree.
    func observer(of tree: UInt32) -> TreeObserver {
        lock.locked {
            if let observer = observers[tree] { return observer }
            let observer = TreeObserver(tree: tree, door: door, self)
            observers[tree] = observer
            return observer
        }
    }

    fileprivate func note(_ change: ObservedChange, in tree: UInt32) {
        lock.locked {
            queue.append((change, tree))
            lock.signal()
        }
    }

    /// The kernel is to read a file anew.
    func noteContents(of place: InodePlace) {
        note(.file(qidPath: place.qidPath), in: place.tree)
    }

    /// Waits a little until the kernel has heard what was noted. Not for long: it may be waiting for the
    /// request that is being answered.
    func settle() {
        lock.locked {
            for _ in 0..<50 where !queue.isEmpty || isTelling { lock.wait(nanoseconds: 1_000_000) }
        }
    }

    /// Whoever looks at a state keeps it from being deleted, and the kernel never forgets by itself.
    private static let visitNanoseconds: Int64 = 30_000_000_000

    /// The kernel was told what a name in a virtual directory is. After a while it is asked to forget
    /// that, which it does unless somebody is in there.
    func noteVisit(of name: [UInt8], in directory: VirtualNode, root: InodePlace) {
        let now = timespec.monotonic.nanoseconds
        lock.locked {
            visits.removeAll { $0.name == name && $0.directory == directory }
            visits.append(Visit(directory: directory, name: name, root: root, time: now))
            lock.signal()
        }
    }

    /// All visits end now.
    func endVisits() {
        lock.locked {
            for index in visits.indices { visits[index].time = .min / 2 }
            lock.signal()
        }
    }

    /// - Throws: `.outOfThreads`.
    func start() throws(MountError) {
        thread = WorkerThread { [self] in
            while let (notices, ended) = next() {
                for notice in notices { tell(notice.change, in: notice.tree) }
                for visit in ended {
                    forget(visit.name, in: .virtual(visit.directory))
                    guard inodes.identifier(of: visit.root) != nil else { continue }
                    // What was in use the last time is not reached by that name any more, and
                    // holds what is above it.
                    for handle in inodes.handles(in: visit.root.tree) {
                        guard let (directory, name) = handle.location else { continue }
                        forget(name, in: InodePlace(tree: visit.root.tree, qidPath: directory))
                    }
                    // Somebody is in there, or the kernel has not answered yet: later once more.
                    noteVisit(of: visit.name, in: visit.directory, root: visit.root)
                }
            }
        }
        if thread == nil { throw .outOfThreads }
    }

    func stop() {
        lock.locked {
            isStopping = true
            lock.signal()
        }
        thread?.join()
        thread = nil
    }

    /// What there is to be told, as soon as there is something; nil at the end.
    private func next() -> (notices: [Notice], ended: [Visit])? {
        lock.locked {
            isTelling = false
            lock.signal()
            while !isStopping {
                let now = timespec.monotonic.nanoseconds
                let ended = visits.filter { now - $0.time >= Self.visitNanoseconds }
                if !queue.isEmpty || !ended.isEmpty {
                    defer { queue = [] }
                    isTelling = true
                    visits.removeAll { now - $0.time >= Self.visitNanoseconds }
                    return (queue, ended)
                }
                if let first = visits.map(\.time).min() {
                    lock.wait(nanoseconds: max(1, first + Self.visitNanoseconds - now))
                } else {
                    lock.wait()
                }
            }
            return nil
        }
    }

    private func tell(_ change: ObservedChange, in tree: UInt32) {
        switch change {
        case .file(let qidPath):
            let place = InodePlace(tree: tree, qidPath: qidPath)
            guard let identifier = inodes.identifier(of: place) else { return }
            fuse_lowlevel_notify_inval_inode(session, identifier, 0, 0)
        case .name(let name, let directory):
            forget(name, in: InodePlace(tree: tree, qidPath: directory))
        case .everything:
            forgetFiles(in: tree)
            forgetNames()
        case .users:
            owners.forget()
            forgetFiles(in: tree)
        }
    }

    private func forgetFiles(in tree: UInt32) {
        for identifier in inodes.identifiers(in: tree) {
            fuse_lowlevel_notify_inval_inode(session, identifier, 0, 0)
        }
    }

    private func forget(_ name: [UInt8], in directory: InodePlace) {
        guard let parent = inodes.identifier(of: directory) else { return }
        name.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            fuse_lowlevel_notify_inval_entry(
                session, parent, base.assumingMemoryBound(to: CChar.self), bytes.count)
        }
    }

    /// Lets the kernel look up every name anew, also those that were not there. libfuse does not know
    /// this notice, nor do kernels before 6.16, which come to know by the files' errors.
    private func forgetNames() {
        let incrementEpoch: Int32 = 8
        var notice = (length: UInt32(16), code: incrementEpoch, unique: UInt64(0))
        _ = withUnsafeBytes(of: &notice) { write(fuse_session_fd(session), $0.baseAddress, 16) }
    }
}

/// Hears of the changes of one tree that come through other doors.
final class TreeObserver: ChangeObserver {
    let door: Int
    private let tree: UInt32
    private unowned let invalidation: Invalidation

    fileprivate init(tree: UInt32, door: Int, _ invalidation: Invalidation) {
        self.tree = tree
        self.door = door
        self.invalidation = invalidation
    }

    func observe(_ change: ObservedChange) { invalidation.note(change, in: tree) }
}
