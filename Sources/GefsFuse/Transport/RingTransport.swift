import GefsEngine
import Glibc

/// The threads that answer a mount's requests over io_uring: some for the queue of each processor.
///
/// The kernel hands requests to the queues when the connection's first answer accepts them, and
/// asks nobody before each queue has an entry. So the threads and their rings are made first, and
/// offer their entries when the connection is made; from then on only forgotten inodes and
/// interruptions come over the device.
final class RingTransport: @unchecked Sendable {
    private enum Phase {
        case preparing, registering, running, stopping
    }

    private let lock = Lock()
    /// lock.
    private var phase = Phase.preparing
    /// lock. Threads that have done what the phase asks for.
    private var readyCount = 0
    /// lock. The first one that a thread met.
    private var error: RingError?
    /// lock. Set with `.registering`.
    private var connection: (session: OpaquePointer, device: Int32)?
    private var threads: [WorkerThread] = []
    private let end: EndSignal
    private let complain: @Sendable (String) -> Void

    /// Starts the threads.
    ///
    /// - Throws: what the system refuses: it has no io_uring, or no room.
    init(complain: @escaping @Sendable (String) -> Void) throws(RingError) {
        guard let end = EndSignal() else { throw .setup(errno) }
        self.end = end
        self.complain = complain
        let processors = KernelRing.processors
        let perQueue = Self.threadsPerQueue(processors)
        for processor in 0..<processors {
            for _ in 0..<perQueue {
                guard let thread = WorkerThread({ [self] in serve(processor) }) else {
                    stop()
                    throw .setup(EAGAIN)
                }
                threads.append(thread)
            }
        }
        do throws(RingError) {
            try waitForAll()
        } catch {
            stop()
            throw error
        }
    }

    /// A thread waits for the disk with its request; as many more of a processor's requests are
    /// answered meanwhile as there are threads besides.
    private static func threadsPerQueue(_ processors: Int) -> Int {
        max(2, min(5, 40 / processors))
    }

    /// The connection is made: offers the entries to the kernel, and answers from now on.
    ///
    /// - Throws: what the kernel refuses. Nobody answers then, and the connection has to end.
    func connect(_ session: OpaquePointer, _ device: Int32) throws(RingError) {
        lock.locked {
            connection = (session, device)
            readyCount = 0
            phase = .registering
            lock.signal()
        }
        try waitForAll()
        lock.locked { if phase == .registering { phase = .running } }
    }

    /// Ends the threads: requests that they are at are answered, others are not.
    func stop() {
        lock.locked {
            phase = .stopping
            lock.signal()
        }
        end.give()
        for thread in threads { thread.join() }
        threads = []
    }

    private func waitForAll() throws(RingError) {
        try lock.locked { () throws(RingError) -> Void in
            while error == nil, readyCount < threads.count { lock.wait() }
            if let error { throw error }
        }
    }

    private func note(_ error: RingError?) {
        lock.locked {
            if let error {
                self.error = self.error ?? error
            } else {
                readyCount += 1
            }
            lock.signal()
        }
    }

    private func nextPhase(after phase: Phase) -> Phase {
        lock.locked {
            while self.phase == phase { lock.wait() }
            return self.phase
        }
    }

    /// What each thread does.
    private func serve(_ processor: Int) {
        do throws(RingError) {
            let thread = try RingThread(processor: processor)
            note(nil)
            guard nextPhase(after: .preparing) == .registering,
                let (session, device) = lock.locked({ connection })
            else { return }
            try thread.register(device, stop: end.descriptor)
            note(nil)
            try thread.run(session)
        } catch {
            note(error)
            if lock.locked({ phase == .running }) { complain("io_uring: \(error)") }
        }
    }
}
