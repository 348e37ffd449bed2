/// The thread that clears the data of removed and truncated files, in bounded steps.
final class Reclaimer: @unchecked Sendable {
    private let lock = Lock()
    private var queue: [(branch: Branch, qid: UInt64)] = []
    private var isStopping = false
    private var isBusy = false
    private var thread: WorkerThread?

    /// Returns false when the system has no thread left.
    func start() -> Bool {
        thread = WorkerThread { [self] in run() }
        return thread != nil
    }

    func add(_ branch: Branch, _ qid: UInt64) {
        lock.locked {
            queue.append((branch, qid))
            lock.signal()
        }
    }

    /// Finishes what is queued, then ends the thread.
    func finish() {
        lock.locked {
            isStopping = true
            lock.signal()
        }
        thread?.join()
        thread = nil
    }

    /// Waits until nothing is queued or under way.
    func drain() {
        lock.locked {
            while !queue.isEmpty || isBusy { lock.wait() }
        }
    }

    private func run() {
        while let (branch, qid) = take() {
            work(branch, qid)
            lock.locked {
                isBusy = false
                lock.signal()
            }
        }
    }

    private func take() -> (Branch, UInt64)? {
        lock.locked {
            while queue.isEmpty, !isStopping { lock.wait() }
            guard !queue.isEmpty else { return nil }
            isBusy = true
            return queue.removeFirst()
        }
    }

    /// A job that fails stays on disk, and is taken up when the volume is opened again.
    private func work(_ branch: Branch, _ qid: UInt64) {
        let caller = Caller(user: .none, isPermissive: true)
        do throws(FileError) {
            var isDone = false
            while !isDone {
                try branch.volume.admit(caller)
                isDone = try branch.volume.withRoom(caller) { () throws(FileError) -> Bool in
                    try branch.clearStep(qid)
                }
            }
        } catch {
            branch.volume.log("cannot reclaim the data of file \(qid): \(error)")
        }
    }
}
