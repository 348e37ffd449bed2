import Logging
import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What becomes of a channel.
extension NinePServer {
    /// Closes a channel that was accepted for nothing.
    private struct ConnectionRefused: Error {}

    /// Makes a new channel a connection. On the channel's event loop.
    func serve(_ channel: any Channel, _ listener: ListenerConfiguration) throws {
        var logger = configuration.logger
        logger[metadataKey: "client"] = "\(channel.remoteAddress?.description ?? "local")"
        let executor = RequestExecutor(
            fileSystem: fileSystem, authentication: listener.authentication,
            peer: peer(of: channel, listener), isControlListener: listener.isControl,
            shared: shared, logger: logger)
        let connection = Connection(
            executor: executor,
            environment: Connection.Environment(
                pools: pools, messageBytesMax: configuration.messageBytesMax,
                outstandingRequestsMax: configuration.outstandingRequestsMax,
                outstandingBytesMax: configuration.outstandingBytesMax,
                fidsMax: configuration.fidsMax, fidsTotalMax: configuration.fidsTotalMax,
                outstandingBytesTotalMax: configuration.outstandingBytesTotalMax,
                // Whoever started us may take its time.
                sessionPatience: listener.address == .standardIO
                    ? nil : configuration.sessionPatience.map { TimeAmount($0) },
                limits: shared.limits, logger: logger,
                ended: { [self] in forget($0) }),
            turn: turns[ObjectIdentifier(channel.eventLoop)] ?? ReplyTurn(channel.eventLoop))
        let isAccepted = state.withLock { state in
            guard !state.isStopping, state.connections.count < configuration.connectionsMax else {
                return false
            }
            state.connections[ObjectIdentifier(connection)] = connection
            return true
        }
        guard isAccepted else {
            logger.warning("connection refused: too many, or the server is stopping")
            throw ConnectionRefused()
        }
        do {
            try channel.pipeline.syncOperations.addHandler(connection)
        } catch {
            forget(connection)
            throw error
        }
        logger.debug("connection")
    }

    private func forget(_ connection: Connection) {
        state.withLock { $0.connections[ObjectIdentifier(connection)] = nil }
        state.wakeAll()
    }

    /// Asks the kernel who connected. Whoever started us holds our standard input.
    private func peer(of channel: any Channel, _ listener: ListenerConfiguration) -> Peer {
        if listener.address == .standardIO { return Peer(userID: geteuid()) }
        let userID = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { descriptor in SocketDescriptor.peerUserID(descriptor) }
        return Peer(userID: userID ?? nil)
    }
}
