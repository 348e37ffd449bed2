import NIOCore

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The way to a connected socket past its channel.
///
/// Only for the channel's event loop, while the channel is active and has nothing to send itself.
struct SocketOutput {
    let descriptor: Int32

    /// Nil where the channel is no socket.
    init?(of channel: any Channel) {
        let descriptor = try? channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { $0 }
        guard let descriptor else { return nil }
        self.descriptor = descriptor
    }

    /// Gives the socket what it takes now, and says how many bytes that is.
    ///
    /// Errors are left to the channel: it meets them when it is given the rest.
    func send(_ bytes: UnsafeRawBufferPointer) -> Int {
        while true {
            #if os(Linux)
                let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
                let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, flags)
            #else
                let count = Darwin.send(descriptor, bytes.baseAddress, bytes.count, MSG_DONTWAIT)
            #endif
            if count < 0, errno == EINTR { continue }
            return max(0, count)
        }
    }
}
