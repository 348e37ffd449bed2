import CFuse3
import CRing
import GefsEngine
import Glibc

/// Answers the requests that come to one entry of the queue of one processor.
///
/// The kernel gives a request to the queue of the processor that the caller runs on; where the
/// thread that answers runs there, too, nobody waits for another processor to wake up, which is
/// most of what a small request costs.
final class RingThread {
    private let processor: Int
    private let ring: OpaquePointer
    private let entry = RingEntry()
    /// A request was there as soon as the entry was.
    private var hasRequest = false

    /// The entry whose request this thread is answering.
    static var current: RingEntry? {
        guard let pointer = pthread_getspecific(key) else { return nil }
        return Unmanaged<RingEntry>.fromOpaque(pointer).takeUnretainedValue()
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// Makes the ring, on the thread that is to run it.
    ///
    /// - Parameter processor: its number, and that of its queue.
    /// - Throws: `.setup`.
    init(processor: Int) throws(RingError) {
        guard let ring = cring_open() else { throw .setup(errno) }
        self.processor = processor
        self.ring = ring
        // Processors that this process may not use have queues as well, but hardly anything comes to
        // them; who answers that may run anywhere.
        cring_bind_thread(UInt32(processor))
        // The caller is woken while this thread still runs on its processor. The scheduler leaves it
        // there, and does not wake another processor up for it, where it has had more than its share;
        // this thread's is larger, if root mounts.
        let this = __priority_which_t(PRIO_PROCESS.rawValue)
        setpriority(this, 0, getpriority(this, 0) - Self.niceness)
    }

    /// How much nicer the callers are.
    private static let niceness: Int32 = 5

    deinit {
        cring_close(ring)
    }

    /// Offers the entry to the kernel.
    ///
    /// - Parameters:
    ///   - device: the connection with the kernel.
    ///   - stop: can be read from when the thread is to end.
    /// - Throws: `.register` with what the kernel says at once.
    func register(_ device: Int32, stop: Int32) throws(RingError) {
        cring_use_device(ring, device)
        cring_watch(ring, stop)
        let parts = [
            iovec(iov_base: entry.header, iov_len: KernelInterface.RingHeader.byteCount),
            iovec(iov_base: entry.payload, iov_len: RingEntry.payloadBytesMax),
        ]
        let result = parts.withUnsafeBufferPointer { parts in
            submit(.register, parts)
            return cring_submit(ring)
        }
        guard result == 0 else { throw .register(-result) }
        var answer: Int32 = 0
        guard cring_next(ring, &answer) == Int32(CRING_COMMAND.rawValue) else { return }
        if answer < 0 { throw .register(-answer) }
        hasRequest = true
    }

    /// Answers until the connection or the mount ends.
    ///
    /// - Throws: `.request` with what the kernel says that it should not.
    func run(_ session: OpaquePointer) throws(RingError) {
        pthread_setspecific(Self.key, Unmanaged.passUnretained(entry).toOpaque())
        defer { pthread_setspecific(Self.key, nil) }
        if hasRequest { answer(session) }
        var isStopping = false
        while true {
            var result: Int32 = 0
            // In the end only what is there already is answered.
            let event = isStopping ? cring_next(ring, &result) : cring_wait(ring, &result)
            if event == 0 { break }
            guard event > 0 else { throw .request(-event) }
            if event == Int32(CRING_READABLE.rawValue) {
                isStopping = true
                continue
            }
            if result == -ENOTCONN || result == -ECANCELED { return }
            guard result == 0 else { throw .request(-result) }
            answer(session)
        }
        cring_submit(ring)
    }

    /// Answers the request in the entry, which can take another one then.
    private func answer(_ session: OpaquePointer) {
        if let request = entry.begin() {
            var buffer = fuse_buf()
            buffer.mem = request.baseAddress
            buffer.size = request.count
            RequestFlags.note(request)
            fuse_session_process_buf(session, &buffer)
        }
        entry.end()
        submit(.commitAndFetch)
    }

    private func submit(
        _ command: KernelInterface.RingCommand, _ parts: UnsafeBufferPointer<iovec>? = nil
    ) {
        cring_command(
            ring, command.rawValue, UInt16(processor), entry.commitIdentifier,
            parts?.baseAddress, UInt32(parts?.count ?? 0))
    }
}

/// Why requests do not come over io_uring. Each carries an errno.
enum RingError: Error, Hashable {
    case setup(Int32)
    case register(Int32)
    case request(Int32)
}
