import NIOCore
import NineP
import Synchronization

/// A request that could not be answered at once: it waits for its fid, for a thread, or runs on one.
///
/// Everything is confined to the connection's event loop, with two exceptions: `progress` is
/// atomic, and from the submission to a pool until the completion is handled, `binding` and the
/// result belong to the thread that runs the request.
final class PendingRequest: PoolJob, @unchecked Sendable {
    /// How far a request has come with a pool.
    enum Progress {
        static let notStarted: UInt8 = 0
        static let started: UInt8 = 1
        static let cancelled: UInt8 = 2
    }

    /// Which threads run it.
    enum Lane {
        case device
        case sync
        case control
    }

    let connection: Connection
    let tag: Tag
    /// The whole message.
    let frame: ByteBuffer
    /// What its frame and its reply may take of memory.
    let byteCost: Int

    /// The fid in whose queue it waits.
    var waitsFor: Fid?
    /// How it is going to use that fid.
    var wantedAccess = FidAccess.exclusive
    /// The fid whose queue it has just left: those who are still in it come later.
    var turn: Fid?
    /// The fid that it holds while it runs, and how.
    var held: (fid: Fid, access: FidAccess)?
    /// The fid that it makes.
    var reserved: Fid?
    /// Whether it ends its fid; nothing can cancel it then.
    var endsFid = false
    /// Tags of the Tflush messages that wait for it.
    var flushers: [Tag] = []
    /// No reply is wanted any more.
    var isDropped = false
    var lane = Lane.device

    /// What the fid stood for when the request was handed over.
    var binding: FidBinding?
    var messageBytesMax = 0
    var reply = ByteBuffer()
    var outcome = Outcome.done

    private let progress = Atomic(Progress.notStarted)

    init(connection: Connection, tag: Tag, frame: ByteBuffer, byteCost: Int) {
        self.connection = connection
        self.tag = tag
        self.frame = frame
        self.byteCost = byteCost
    }

    /// Keeps the request from starting; false when it has started.
    func cancel() -> Bool {
        progress.compareExchange(
            expected: Progress.notStarted, desired: Progress.cancelled,
            ordering: .acquiringAndReleasing
        ).exchanged
    }

    /// Claims the request for the calling thread; false when it was cancelled.
    func begin() -> Bool {
        progress.compareExchange(
            expected: Progress.notStarted, desired: Progress.started,
            ordering: .acquiringAndReleasing
        ).exchanged
    }

    func run() {
        guard begin() else { return }
        connection.executor.perform(self)
        connection.complete(self)
    }
}
