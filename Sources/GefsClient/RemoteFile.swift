import NineP
import Synchronization

/// A fid: a file of a server, and how it is open.
///
/// To be given back with `clunk` or `remove`. Operations of one file may run on several threads at
/// once; `clunk` and `remove` must be the last.
public final class RemoteFile: Sendable {
    private struct State {
        var qid: WireQid
        var ioUnit = 0
        var isClunked = false
    }

    public let client: Client
    let fid: FidNumber
    private let state: Mutex<State>

    init(client: Client, fid: FidNumber, qid: WireQid) {
        self.client = client
        self.fid = fid
        state = Mutex(State(qid: qid))
    }

    /// Identity as the last walk, open or create told it.
    public var qid: WireQid { state.withLock { $0.qid } }

    public var isDirectory: Bool { qid.type & WireQid.directoryType != 0 }

    /// Bytes that a read or write moves at once.
    var chunkBytes: Int {
        let unit = state.withLock { $0.ioUnit }
        return unit > 0 ? min(unit, client.dataBytesMax) : client.dataBytesMax
    }

    /// Walks along names, any number of them; the file itself stays where it is.
    ///
    /// - Throws: `ClientError.notFound` where only the first elements exist.
    public func walk(_ names: [[UInt8]]) throws(ClientError) -> RemoteFile {
        var current = self
        var rest = names[...]
        var elementsFound = 0
        repeat {
            let part = rest.prefix(WireLimits.walkNamesMax)
            rest = rest.dropFirst(WireLimits.walkNamesMax)
            let next: RemoteFile
            do throws(ClientError) {
                next = try current.walkOnce(part, elementsFound: elementsFound)
            } catch {
                if current !== self { try? current.clunk() }
                throw error
            }
            if current !== self { try? current.clunk() }
            current = next
            elementsFound += part.count
        } while !rest.isEmpty
        return current
    }

    /// Walks along a path; empty elements are left out.
    public func walk(_ path: String = "") throws(ClientError) -> RemoteFile {
        try walk(path.utf8.split(separator: UInt8(ascii: "/")).map { Array($0) })
    }

    private func walkOnce(
        _ names: ArraySlice<[UInt8]>, elementsFound: Int
    ) throws(ClientError) -> RemoteFile {
        let newFid = client.takeFid()
        do throws(ClientError) {
            let qid = try client.ask { (tag, buffer) throws(ProtocolError) in
                try Twalk.encode(
                    tag: tag, fid: fid, newFid: newFid, names: names, into: buffer)
            } answer: { reply throws(ClientError) in
                guard case .walk(let message) = reply else { throw Client.unexpected(reply) }
                guard message.count == names.count else {
                    throw .notFound(elementsFound: elementsFound + message.count)
                }
                return message.last
            }
            return RemoteFile(client: client, fid: newFid, qid: qid ?? self.qid)
        } catch {
            client.giveBack(newFid)
            throw error
        }
    }

    /// Opens the file; `mode` as in `OpenFlags`.
    public func open(_ mode: UInt8 = OpenFlags.read) throws(ClientError) {
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try Topen(fid: fid, mode: mode).encode(tag: tag, into: buffer)
        } answer: { reply throws(ClientError) in
            guard case .open(let message) = reply else { throw Client.unexpected(reply) }
            setOpen(message.qid, ioUnit: message.ioUnit)
        }
    }

    /// Creates a file in this directory and opens it: this is the new file then.
    public func create(
        _ name: String, permissions: UInt32, mode: UInt8 = OpenFlags.readWrite
    ) throws(ClientError) {
        try create(Array(name.utf8), permissions: permissions, mode: mode)
    }

    /// Creates a file whose name need not be UTF-8.
    public func create(
        _ name: [UInt8], permissions: UInt32, mode: UInt8 = OpenFlags.readWrite
    ) throws(ClientError) {
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try Client.lending(name, []) { (name, _) throws(ProtocolError) in
                try Tcreate(fid: fid, name: name, permissions: permissions, mode: mode)
                    .encode(tag: tag, into: buffer)
            }
        } answer: { reply throws(ClientError) in
            guard case .create(let message) = reply else { throw Client.unexpected(reply) }
            setOpen(message.qid, ioUnit: message.ioUnit)
        }
    }

    private func setOpen(_ qid: WireQid, ioUnit: UInt32) {
        state.withLock {
            $0.qid = qid
            $0.ioUnit = Int(ioUnit)
        }
    }

    public func status() throws(ClientError) -> RemoteStatus {
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try Tstat(fid: fid).encode(tag: tag, into: buffer)
        } answer: { reply throws(ClientError) in
            guard case .stat(let message) = reply else { throw Client.unexpected(reply) }
            return RemoteStatus(message.stat)
        }
    }

    /// Changes attributes, all or nothing.
    public func change(_ changes: RemoteChanges) throws(ClientError) {
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try changes.encode(tag: tag, fid: fid, into: buffer)
        } answer: { reply throws(ClientError) in
            guard case .wstat = reply else { throw Client.unexpected(reply) }
        }
    }

    /// Returns when everything the server has acknowledged before is on disk.
    public func sync() throws(ClientError) {
        try change(RemoteChanges())
    }

    /// Removes the file and gives the fid up, also where that fails.
    public func remove() throws(ClientError) {
        guard markClunked() else { throw .fileClosed }
        defer { client.giveBack(fid) }
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try Tremove(fid: fid).encode(tag: tag, into: buffer)
        } answer: { reply throws(ClientError) in
            guard case .remove = reply else { throw Client.unexpected(reply) }
        }
    }

    /// Gives the fid up. A second time does nothing.
    public func clunk() throws(ClientError) {
        guard markClunked() else { return }
        defer { client.giveBack(fid) }
        try client.ask { (tag, buffer) throws(ProtocolError) in
            try Tclunk(fid: fid).encode(tag: tag, into: buffer)
        } answer: { reply throws(ClientError) in
            guard case .clunk = reply else { throw Client.unexpected(reply) }
        }
    }

    private func markClunked() -> Bool {
        state.withLock { state in
            defer { state.isClunked = true }
            return !state.isClunked
        }
    }
}
