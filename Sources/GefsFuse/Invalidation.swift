import CFuse3
import GefsEngine
import Glibc
import Synchronization

/// Tells the kernel what others have changed, so that it may believe its caches for ever.
///
/// The engine notes changes here under its locks; a thread of its own tells the kernel, which may
/// have to wait for requests that this process is still to answer.
final class Invalidation: ChangeObserver, @unchecked Sendable {
    let door: Int
    private let session: OpaquePointer
    private let inodes: InodeTable
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let signal: UnsafeMutablePointer<pthread_cond_t>
    /// lock.
    private var queue: [ObservedChange] = []
    /// lock.
    private var isStopping = false
    /// lock. The thread has something in hand.
    private var isBusy = false
    private var thread = pthread_t()

    init(session: OpaquePointer, inodes: InodeTable, door: Int) {
        self.session = session
        self.inodes = inodes
        self.door = door
        lock = .allocate(capacity: 1)
        signal = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        pthread_cond_init(signal, nil)
    }

    deinit {
        pthread_mutex_destroy(lock)
        pthread_cond_destroy(signal)
        lock.deallocate()
        signal.deallocate()
    }

    func observe(_ change: ObservedChange) {
        pthread_mutex_lock(lock)
        queue.append(change)
        pthread_cond_broadcast(signal)
        pthread_mutex_unlock(lock)
    }

    func start() {
        let this = Unmanaged.passRetained(self).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { data in
                if let data { Unmanaged<Invalidation>.fromOpaque(data).takeUnretainedValue().run() }
                return nil
            }, this)
        if status != 0 { Unmanaged<Invalidation>.fromOpaque(this).release() }
    }

    func stop() {
        pthread_mutex_lock(lock)
        isStopping = true
        pthread_cond_broadcast(signal)
        pthread_mutex_unlock(lock)
        pthread_join(thread, nil)
        Unmanaged.passUnretained(self).release()
    }

    private func run() {
        while true {
            pthread_mutex_lock(lock)
            isBusy = false
            pthread_cond_broadcast(signal)
            while queue.isEmpty, !isStopping { pthread_cond_wait(signal, lock) }
            let changes = queue
            queue = []
            isBusy = true
            let isLast = isStopping
            pthread_mutex_unlock(lock)
            if isLast { return }
            for change in changes { tell(change) }
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
