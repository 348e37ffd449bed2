import NIOCore
import NIOPosix

/// The console: a private unix socket that takes commands as lines of text. Source: SEMANTICS 9.
extension NinePServer {
    /// Closes a channel that was accepted for nothing.
    private struct ConsoleRefused: Error {}

    /// Clients of the console at once; more are closed at once.
    static let consolesMax = 64

    func startConsole(path: String, _ handler: any ControlHandler) throws(ServerError) {
        let socket = try UnixSocketFile.listen(path: path, mode: 0o600)
        state.withLock { $0.sockets.append(socket.file) }
        let bootstrap = ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(
                .recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4096)
            )
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try serveConsole(channel, handler) }
            }
        do {
            let channel = try bootstrap.withBoundSocket(socket.descriptor).wait()
            state.withLock { $0.listeners.append(channel) }
        } catch {
            throw .cannotListen(.unix(path: path), reason: "\(error)")
        }
    }

    /// Makes a new channel a console. On the channel's event loop.
    private func serveConsole(_ channel: any Channel, _ handler: any ControlHandler) throws {
        let console = ConsoleConnection(
            handler: handler, pool: pools.control, eventLoop: channel.eventLoop,
            ended: { [self] in forget($0) })
        let isAccepted = state.withLock { state in
            guard !state.isStopping, state.consoles.count < Self.consolesMax else { return false }
            state.consoles[ObjectIdentifier(console)] = (console, channel.eventLoop)
            return true
        }
        guard isAccepted else { throw ConsoleRefused() }
        do {
            try channel.pipeline.syncOperations.addHandler(console)
        } catch {
            forget(console)
            throw error
        }
    }

    private func forget(_ console: ConsoleConnection) {
        state.withLock { $0.consoles[ObjectIdentifier(console)] = nil }
        state.wakeAll()
    }
}
