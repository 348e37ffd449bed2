import Dispatch
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Listens on a server's control socket and tells commands from 9P by the first byte.
///
/// A command begins with `{`, a 9P connection with the size of a Tversion, which is never that
/// long. What speaks 9P is handed over with nothing read. Commands run on threads of their own, at most
/// `connectionsMax` at once; connections beyond that wait.
public final class ControlListener: Sendable {
    /// Takes a connected descriptor that speaks 9P, and owns it from then on.
    public typealias Adoption = @Sendable (Int32) -> Void

    private let socket: Int32
    private let wakeRead: Int32
    private let wakeWrite: Int32
    private let path: String
    private let service: ControlService
    private let adopt: Adoption
    private let state = Mutex(State())
    private let running = DispatchGroup()

    private static let connectionsMax = 32
    /// Connections that have not sent anything yet.
    private static let undecidedMax = 1024

    private struct State {
        var isClosed = false
        var commandsRunning = 0
    }

    /// Makes the socket and begins to listen.
    ///
    /// - Throws: `SocketError` where the socket cannot be made.
    public init(
        path: String, service: ControlService, adopt: @escaping Adoption
    ) throws(SocketError) {
        self.path = path
        self.service = service
        self.adopt = adopt
        socket = try UnixSocket.listen(at: path)
        (wakeRead, wakeWrite) = try UnixSocket.pair()
        let thread = ControlThread { [self] in listen() }
        guard thread.start() else { throw SocketError(code: EAGAIN) }
    }

    /// Stops listening and removes the socket. Commands that run go on.
    public func close() {
        let isFirst = state.withLock { state in
            defer { state.isClosed = true }
            return !state.isClosed
        }
        guard isFirst else { return }
        unlink(path)
        wake()
    }

    /// Waits until no command runs any more, at most as long as said.
    public func drain(milliseconds: Int) {
        _ = running.wait(timeout: .now() + .milliseconds(milliseconds))
    }

    private func wake() {
        var byte: UInt8 = 0
        _ = write(wakeWrite, &byte, 1)
    }

    private func listen() {
        var undecided: [Int32] = []
        defer {
            for descriptor in undecided { _ = release(descriptor) }
            for descriptor in [socket, wakeRead, wakeWrite] { _ = release(descriptor) }
        }
        while !state.withLock({ $0.isClosed }) {
            let mayDecide = state.withLock { $0.commandsRunning < Self.connectionsMax }
            var polled = [pollfd(fd: wakeRead, events: Int16(POLLIN), revents: 0)]
            let mayAccept = undecided.count < Self.undecidedMax
            polled.append(pollfd(fd: mayAccept ? socket : -1, events: Int16(POLLIN), revents: 0))
            if mayDecide {
                polled += undecided.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            }
            guard poll(&polled, nfds_t(polled.count), -1) > 0 else { continue }
            if polled[0].revents != 0 { drainWakes() }
            if polled[1].revents != 0 {
                let descriptor = accept(socket, nil, nil)
                if descriptor >= 0 { undecided.append(closeOnExec(descriptor)) }
            }
            for ready in polled.dropFirst(2) where ready.revents != 0 {
                undecided.removeAll { $0 == ready.fd }
                decide(ready.fd)
            }
        }
    }

    private func drainWakes() {
        var bytes = [UInt8](repeating: 0, count: 64)
        _ = bytes.withUnsafeMutableBytes { read(wakeRead, $0.baseAddress, $0.count) }
    }

    /// Looks at what a connection has sent first and gives it to who understands it.
    private func decide(_ descriptor: Int32) {
        var first: UInt8 = 0
        guard recv(descriptor, &first, 1, peeking) == 1 else {
            _ = release(descriptor)
            return
        }
        guard first == UInt8(ascii: "{") else {
            adopt(descriptor)
            return
        }
        begin()
        let thread = ControlThread { [self] in
            serve(descriptor)
            end()
        }
        if !thread.start() {
            _ = release(descriptor)
            end()
        }
    }

    private func begin() {
        running.enter()
        state.withLock { $0.commandsRunning += 1 }
    }

    private func end() {
        let isClosed = state.withLock { state in
            state.commandsRunning -= 1
            return state.isClosed
        }
        running.leave()
        if !isClosed { wake() }
    }

    /// Answers the commands of one connection, one after the other.
    private func serve(_ descriptor: Int32) {
        let channel = LineChannel(descriptor)
        do {
            while let line = try channel.readLine() {
                do {
                    let request = try ReportLine.decode(ControlRequest.self, from: line)
                    let status = try service.perform(request.words) { try channel.write($0) }
                    try channel.write(EndReport(status: status))
                } catch let failure as CommandFailure {
                    try channel.write(failure)
                } catch is DecodingError {
                    try channel.write(
                        CommandFailure("", "not a command", status: .usage))
                }
            }
        } catch {
            // The client went away; there is nobody left to tell.
            return
        }
    }

    private func release(_ descriptor: Int32) -> Int32 {
        #if canImport(Glibc)
            Glibc.close(descriptor)
        #else
            Darwin.close(descriptor)
        #endif
    }

    private func closeOnExec(_ descriptor: Int32) -> Int32 {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        return descriptor
    }
}

/// Reads without taking.
private var peeking: Int32 {
    #if canImport(Glibc)
        Int32(MSG_PEEK.rawValue)
    #else
        MSG_PEEK
    #endif
}
