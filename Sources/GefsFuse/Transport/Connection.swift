import CFuse3
import GefsEngine
import Glibc

/// How libfuse and the kernel reach each other: over the device, or a ring that libfuse does not
/// know of.
///
/// libfuse reads requests and writes replies through the functions of `channel`. It negotiates by
/// itself; what it does not know of is added to its first answer.
final class Connection: @unchecked Sendable {
    /// Ends the reading from the device where requests come over the ring; nil: they may not.
    private let end: EndSignal?
    private let mayClearPrivileges: Bool
    /// Whether the kernel has offered the ring. Written before any other thread asks.
    private var hasOffer = false
    /// What is taken of the offer that libfuse does not know of.
    private var accepted: UInt32 = 0
    private var isNegotiated = false

    init(mayUseRing: Bool, mayClearPrivileges: Bool) {
        end = mayUseRing ? EndSignal() : nil
        self.mayClearPrivileges = mayClearPrivileges
    }

    /// Set-id bits and capabilities that a change takes away are ours to take away: the kernel does
    /// not ask for them before each write.
    var clearsPrivileges: Bool { accepted & UInt32(FUSE_HANDLE_KILLPRIV_V2) != 0 }

    /// Requests come over the ring; over the device come forgotten inodes and interruptions.
    var usesRing: Bool { end != nil && hasOffer }

    /// Lets the kernel and libfuse agree on what they do.
    ///
    /// - Parameter session: mounted.
    /// - Throws: `.negotiation`.
    func negotiate(_ session: OpaquePointer) throws(MountError) {
        var channel = Self.channel
        guard fuse_session_custom_io(session, &channel, fuse_session_fd(session)) == 0 else {
            throw .negotiation
        }
        var buffer = fuse_buf()
        defer { free(buffer.mem) }
        var received: Int32
        repeat {
            received = fuse_session_receive_buf(session, &buffer)
        } while received == -EINTR
        guard received > 0 else { throw .negotiation }
        fuse_session_process_buf(session, &buffer)
        guard isNegotiated, fuse_session_exited(session) == 0 else { throw .negotiation }
    }

    /// Lets whoever reads from the device see the end of it, where requests come over the ring.
    func requestEnd() {
        end?.give()
    }

    /// What libfuse is to call in place of read(2) and writev(2).
    static let channel: fuse_custom_io = {
        var channel = fuse_custom_io()
        channel.read = { device, buffer, count, data in
            guard let connection = Connection.of(data), let buffer else { return -1 }
            return connection.receive(device, buffer, count)
        }
        channel.writev = { device, parts, count, data in
            guard let connection = Connection.of(data), let parts else { return -1 }
            return connection.send(
                device, UnsafeMutableBufferPointer(start: parts, count: Int(count)))
        }
        return channel
    }()

    private static func of(_ data: UnsafeMutableRawPointer?) -> Connection? {
        data.flatMap {
            Unmanaged<MountSession>.fromOpaque($0).takeUnretainedValue().connection
        }
    }

    private func receive(
        _ device: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        guard isNegotiated, hasOffer, let end else {
            return receiveNext(device, buffer, count)
        }
        // Hardly anything comes this way, and nothing tells when the end is near.
        var polls = [
            pollfd(fd: device, events: Int16(POLLIN), revents: 0),
            pollfd(fd: end.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        guard poll(&polls, nfds_t(polls.count), -1) >= 0 else { return -1 }
        if polls[1].revents != 0 {
            errno = ENODEV
            return -1
        }
        return receiveNext(device, buffer, count)
    }

    private func receiveNext(
        _ device: Int32, _ buffer: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        let received = read(device, buffer, count)
        if received > 0 {
            note(UnsafeMutableRawBufferPointer(start: buffer, count: received))
        }
        return received
    }

    private func note(_ request: UnsafeMutableRawBufferPointer) {
        if isNegotiated { return RequestFlags.note(request) }
        let headBytes = MemoryLayout<fuse_in_header>.size
        guard request.count >= headBytes + MemoryLayout<fuse_init_in>.size,
            request.load(as: fuse_in_header.self).opcode == FUSE_INIT.rawValue
        else { return }
        let offer = request.loadUnaligned(fromByteOffset: headBytes, as: fuse_init_in.self)
        hasOffer =
            offer.flags & KernelInterface.hasMoreFlags != 0
            && offer.flags2 & KernelInterface.overRing != 0
        if mayClearPrivileges { accepted = offer.flags & UInt32(FUSE_HANDLE_KILLPRIV_V2) }
    }

    private func send(_ device: Int32, _ parts: UnsafeMutableBufferPointer<iovec>) -> Int {
        guard let head = parts.first?.iov_base?.load(as: fuse_out_header.self) else { return -1 }
        if let entry = RingThread.current, entry.awaits(head.unique) {
            guard let count = entry.reply(UnsafeBufferPointer(parts)) else {
                errno = ERANGE
                return -1
            }
            return count
        }
        if !isNegotiated, head.error == 0 {
            isNegotiated = true
            accept(parts)
        }
        return writev(device, parts.baseAddress, Int32(parts.count))
    }

    /// Adds to libfuse's answer what it does not know of.
    private func accept(_ parts: UnsafeMutableBufferPointer<iovec>) {
        guard parts.count == 2, let answer = parts[1].iov_base,
            parts[1].iov_len >= MemoryLayout<fuse_init_out>.size
        else {
            hasOffer = false
            return
        }
        var changed = answer.loadUnaligned(as: fuse_init_out.self)
        changed.flags |= accepted
        if usesRing {
            changed.flags |= KernelInterface.hasMoreFlags
            changed.flags2 |= KernelInterface.overRing
        }
        answer.storeBytes(of: changed, as: fuse_init_out.self)
    }
}
