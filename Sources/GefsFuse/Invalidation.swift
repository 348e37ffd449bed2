import CFuse3
import GefsEngine
import Glibc

/// Tells the kernel what others have changed, so that it may believe its caches for ever.
///
/// The engine notes changes here under its locks; a thread of its own tells the kernel, which may
/// have to wait for requests that this process is still to answer.
final class Invalidation: ChangeObserver, @unchecked Sendable {
    let door: Int
    private let session: OpaquePointer
    private let inodes: InodeTable
    private let lock = Lock()
    /// lock.
    private var queue: [ObservedChange] = []
    /// lock.
    private var isStopping = false
    private var thread: WorkerThread?

    init(session: OpaquePointer, inodes: InodeTable, door: Int) {
        self.session = session
        self.inodes = inodes
        self.door = door
    }

    func observe(_ change: ObservedChange) {
        lock.locked {
            queue.append(change)
            lock.signal()
        }
    }

    /// - Throws: `.outOfThreads`.
    func start() throws(MountError) {
        thread = WorkerThread { [self] in
            while let changes = next() {
                for change in changes { tell(change) }
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
    private func next() -> [ObservedChange]? {
        lock.locked {
            while queue.isEmpty, !isStopping { lock.wait() }
            defer { queue = [] }
            return isStopping ? nil : queue
        }
    }

    private func tell(_ change: ObservedChange) {
        switch change {
        case .file(let qidPath):
            guard let identifier = inodes.identifier(of: qidPath) else { return }
            fuse_lowlevel_notify_inval_inode(session, identifier, 0, 0)
        case .name(let name, let directory):
            guard let parent = inodes.identifier(of: directory) else { return }
            name.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                fuse_lowlevel_notify_inval_entry(
                    session, parent, base.assumingMemoryBound(to: CChar.self), bytes.count)
            }
        case .everything:
            for identifier in inodes.identifiers {
                fuse_lowlevel_notify_inval_inode(session, identifier, 0, 0)
            }
            forgetNames()
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
