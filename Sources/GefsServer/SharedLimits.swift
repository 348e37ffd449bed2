import Synchronization

/// What all connections of a server hold together, so that many clients cannot make it hold more than
/// a few can.
final class SharedLimits: Sendable {
    /// Fids that there are.
    let fidCount = Atomic(0)
    /// What requests that were not answered yet take, frames and expected replies.
    let outstandingBytes = Atomic(0)
    /// Text of `status` that is kept for those who read it in pieces.
    let statusBytes = Atomic(0)
}
