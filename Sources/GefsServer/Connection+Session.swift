import GefsEngine
import NIOCore
import NineP

/// A Tversion that is answered when the session before it has ended.
struct PendingVersion {
    var tag: Tag
    /// Whether the client speaks our version and takes messages of a sensible size.
    var isAcceptable: Bool
    var messageBytesMax: Int
    /// The fids are being closed.
    var isClosingFids = false
}

extension Connection {
    /// Begins a new session and ends the one before: requests that have not started never will, those
    /// under way finish unanswered, all fids are clunked. Source: version(5).
    func beginSession(_ message: Tversion, tag: Tag) {
        let size = min(Int(message.messageBytesMax), environment.messageBytesMax)
        pendingVersion = PendingVersion(
            tag: tag,
            isAcceptable: message.asksFor9P2000 && size >= ServerConfiguration.messageBytesMin,
            messageBytesMax: size)
        for request in Array(outstanding.values) {
            request.isDropped = true
            if let fid = request.waitsFor {
                fid.waiting.removeAll { $0 === request }
                request.waitsFor = nil
                retire(request)
            } else if withdraw(request) != nil {
                retire(request)
            }
        }
        continueReset()
    }

    /// Ends the old session when nothing of it is under way, and answers the Tversion.
    func continueReset() {
        guard let version = pendingVersion, !version.isClosingFids, outstanding.isEmpty else {
            return
        }
        pendingVersion?.isClosingFids = true
        closeAllFids { [self] in
            guard let version = pendingVersion else { return }
            pendingVersion = nil
            messageBytesMax = version.isAcceptable ? version.messageBytesMax : nil
            let text = version.isAcceptable ? ProtocolVersion.plain : ProtocolVersion.unknown
            append(
                Rversion(
                    messageBytesMax: UInt32(clamping: version.messageBytesMax),
                    version: text.wireBytes), tag: version.tag)
        }
    }

    // MARK: The end

    /// Closes a connection whose client has not begun a session in all the time it was given.
    func endIfSilent() {
        guard phase == .serving, messageBytesMax == nil, pendingVersion == nil else { return }
        environment.logger.notice("connection dropped", metadata: ["reason": "no session"])
        closeNow()
    }

    /// Takes no more requests; closes when those under way are answered. On the event loop.
    func beginDraining() {
        guard phase == .serving else { return }
        phase = .draining
        closesWhenIdle = true
        proceed()
    }

    /// Gives up waiting for the client to take its replies. On the event loop.
    func closeNow() {
        isClosing = true
        context?.close(promise: nil)
    }

    /// Closes the channel behind the last reply, when nothing is left to be answered.
    func closeIfIdle() {
        guard closesWhenIdle, !isClosing, outstanding.isEmpty, pendingVersion == nil,
            !isContinuing, phase == .serving || phase == .draining, let context
        else { return }
        // A full socket is why requests are left where none is under way.
        guard phase == .draining || isWritable else { return }
        isClosing = true
        let channel = context.channel
        let written = replies
        replies = ByteBuffer()
        context.writeAndFlush(wrapOutboundOut(written)).whenComplete { _ in
            channel.close(promise: nil)
        }
    }

    /// Clunks the fids of a connection that is gone and has nothing under way.
    func endIfIdle() {
        guard phase == .closed, outstanding.isEmpty else { return }
        phase = .ended
        closeAllFids { [self] in environment.ended(self) }
    }

    /// Closes a handle that was never opened, which takes no I/O.
    func close(_ binding: FidBinding) {
        if let handle = binding.handle { executor.fileSystem.close(handle) }
    }

    /// Closes every fid, on a pool thread where that may take long, then goes on.
    private func closeAllFids(_ then: @escaping @Sendable () -> Void) {
        let handles = fids.values.compactMap { $0.binding?.handle }
        fids = [:]
        if handles.count <= Self.handlesClosedInlineMax,
            !handles.contains(where: { $0.removesOnClose })
        {
            for handle in handles { executor.fileSystem.close(handle) }
            return then()
        }
        environment.pools.device.submit(
            ClosingJob(fileSystem: executor.fileSystem, handles: handles) { [self] in
                eventLoop.execute { [self] in
                    then()
                    flushReplies()
                    proceed()
                }
            })
    }

    /// Handles that are closed on the event loop: few enough not to be noticed.
    private static let handlesClosedInlineMax = 64
}

/// Closes the handles of a session that has ended; removals on close happen here.
private final class ClosingJob: PoolJob {
    private let fileSystem: FileSystem
    private let handles: [FileHandle]
    private let done: @Sendable () -> Void

    init(fileSystem: FileSystem, handles: [FileHandle], done: @escaping @Sendable () -> Void) {
        self.fileSystem = fileSystem
        self.handles = handles
        self.done = done
    }

    func run() {
        for handle in handles { fileSystem.close(handle) }
        done()
    }
}
