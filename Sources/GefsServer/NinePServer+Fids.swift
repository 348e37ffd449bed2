import GefsEngine
import NIOCore

/// A fid that some client holds on a file.
public struct FidInfo: Sendable {
    /// Who is at the other end: an address, or a uid of this machine.
    public var client: String
    public var number: UInt32
    public var user: UserID
    public var label: [UInt8]
    public var path: [UInt8]
    public var isOpen: Bool
}

extension NinePServer {
    /// The fids of all clients, at most `limit` of each. Waits for event loops, so that none of
    /// them may call this.
    public func fids(limit: Int = 1000) -> [FidInfo] {
        state.withLock { Array($0.connections.values) }.flatMap { connection in
            // Where the event loop has ended, so have its fids.
            (try? connection.eventLoop.submit { connection.fidInfos(limit: limit) }.wait()) ?? []
        }
    }
}

extension Connection {
    /// What the client holds. On the event loop.
    fileprivate func fidInfos(limit: Int) -> [FidInfo] {
        let client = clientName
        return fids.values.lazy.compactMap { fid in
            guard let binding = fid.binding, let handle = binding.handle else { return nil }
            return FidInfo(
                client: client, number: fid.number.rawValue, user: binding.user,
                label: handle.label, path: handle.path, isOpen: handle.isOpen)
        }.prefix(limit).sorted { $0.number < $1.number }
    }

    private var clientName: String {
        if let userID = executor.peer.userID { return "uid \(userID)" }
        return context?.channel.remoteAddress?.description ?? "local"
    }
}
