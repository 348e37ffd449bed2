import NIOCore
import NIOPosix

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where connections come from.
extension NinePServer {
    /// Refuses what would let anyone be anybody without having been told to.
    func check(_ listener: ListenerConfiguration) throws(ServerError) {
        switch listener.address {
        case .unix: return
        case .standardIO:
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
        case .tcp:
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
            if listener.authentication == .peer { throw .noPeerCredentials(listener.address) }
        case .descriptor(let descriptor):
            if SocketDescriptor.isUnixSocket(descriptor) { return }
            if listener.isControl { throw .controlNeedsUnixSocket(listener.address) }
            if listener.authentication == .peer { throw .noPeerCredentials(listener.address) }
        }
    }

    func start(_ listener: ListenerConfiguration) throws(ServerError) {
        switch listener.address {
        case .tcp(let host, let port): try startTCP(listener, host: host, port: port)
        case .unix(let path): try startUnix(listener, path: path)
        case .standardIO: try startStandardIO(listener)
        case .descriptor(let descriptor):
            if SocketDescriptor.isListening(descriptor) {
                try startBound(listener, descriptor, at: listener.address)
            } else {
                try startConnected(listener, descriptor)
            }
        }
    }

    private func startTCP(
        _ listener: ListenerConfiguration, host: String, port: Int
    ) throws(ServerError) {
        do {
            let channel = try bootstrap(listener)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .serverChannelOption(.backlog, value: UnixSocketFile.backlog)
                .bind(host: host, port: port).wait()
            let bound = channel.localAddress?.port ?? port
            add(channel, at: .tcp(host: host, port: bound))
        } catch let error as IOError where error.errnoCode == EADDRINUSE {
            throw .addressInUse(listener.address)
        } catch {
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    private func startUnix(
        _ listener: ListenerConfiguration, path: String
    ) throws(ServerError) {
        let socket = try UnixSocketFile.listen(
            path: path, mode: listener.isControl ? 0o600 : 0o666)
        state.withLock { $0.sockets.append(socket.file) }
        try startBound(listener, socket.descriptor, at: listener.address)
    }

    private func startBound(
        _ listener: ListenerConfiguration, _ descriptor: Int32, at address: ListenAddress
    ) throws(ServerError) {
        do {
            add(try bootstrap(listener).withBoundSocket(descriptor).wait(), at: address)
        } catch {
            throw .cannotListen(address, reason: "\(error)")
        }
    }

    private func startConnected(
        _ listener: ListenerConfiguration, _ descriptor: Int32
    ) throws(ServerError) {
        do {
            _ = try ClientBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelOption(.recvAllocator, value: Self.receiveAllocator)
                .channelInitializer { [self] channel in
                    channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
                }
                .withConnectedSocket(descriptor).wait()
            state.withLock { $0.boundAddresses.append(listener.address) }
        } catch {
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    /// Serves whoever started us, over duplicates of descriptors 0 and 1.
    private func startStandardIO(_ listener: ListenerConfiguration) throws(ServerError) {
        let input = dup(STDIN_FILENO)
        guard input >= 0 else { throw .system(call: "dup", errno: errno) }
        let output = dup(STDOUT_FILENO)
        guard output >= 0 else {
            let reason = errno
            close(input)
            throw .system(call: "dup", errno: reason)
        }
        do {
            let channel = try NIOPipeBootstrap(group: group)
                .channelOption(.allowRemoteHalfClosure, value: true)
                .channelOption(.recvAllocator, value: Self.receiveAllocator)
                .channelInitializer { [self] channel in
                    channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
                }
                .takingOwnershipOfDescriptors(input: input, output: output).wait()
            if let ended = configuration.standardIOEnded {
                channel.closeFuture.whenComplete { _ in ended() }
            }
            state.withLock { $0.boundAddresses.append(listener.address) }
        } catch {
            close(input)
            close(output)
            throw .cannotListen(listener.address, reason: "\(error)")
        }
    }

    private func add(_ channel: any Channel, at address: ListenAddress) {
        state.withLock { state in
            state.listeners.append(channel)
            state.boundAddresses.append(address)
        }
    }

    private func bootstrap(_ listener: ListenerConfiguration) -> ServerBootstrap {
        let isTCP = if case .tcp = listener.address { true } else { false }
        let bootstrap = ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.recvAllocator, value: Self.receiveAllocator)
            .childChannelOption(.socketOption(.so_sndbuf), value: Self.sendBufferBytes)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture { try serve(channel, listener) }
            }
        return isTCP ? bootstrap.childChannelOption(.tcpOption(.tcp_nodelay), value: 1) : bootstrap
    }

    /// Room for the replies to several large reads, so that the event loop seldom has to wait for
    /// a client to take the first of them. The system may grant less.
    private static let sendBufferBytes: SocketOptionValue = 1 << 20

    /// Grows to what a pipelining writer sends at once. A connection keeps its first buffer, so
    /// that one is small.
    private static let receiveAllocator = AdaptiveRecvByteBufferAllocator(
        minimum: 4 << 10, initial: 4 << 10, maximum: 512 << 10)
}
