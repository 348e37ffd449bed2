import NineP

extension RemoteFile {
    /// Requests of one transfer that are under way at once.
    public static let pipelineDepth = 8

    /// Reads at most one message's worth at `offset`; empty at the end.
    public func readOnce(at offset: UInt64, count: Int) throws(ClientError) -> [UInt8] {
        try receiveData(sendRead(at: offset, count: min(count, chunkBytes)))
    }

    /// Reads up to `count` bytes at `offset`, fewer only at the end of the file.
    public func read(at offset: UInt64, count: Int) throws(ClientError) -> [UInt8] {
        var data: [UInt8] = []
        try read(from: offset, count: count) { piece in data.append(contentsOf: piece) }
        return data
    }

    /// Reads the file to its end.
    public func readAll() throws(ClientError) -> [UInt8] {
        try read(at: 0, count: .max)
    }

    /// Reads pieces in order until `count` bytes or the end, several requests under way at once;
    /// says how many bytes there were. A piece shorter than asked for ends the transfer.
    @discardableResult
    public func read(
        from offset: UInt64, count: Int, _ body: ([UInt8]) throws(ClientError) -> Void
    ) throws(ClientError) -> Int {
        var tickets = Pipeline<(ticket: Client.Ticket, byteCount: Int)>()
        var askedBytes = 0
        var receivedBytes = 0
        var isAtEnd = false
        var failure: ClientError?
        repeat {
            while !isAtEnd, failure == nil, tickets.count < Self.pipelineDepth, askedBytes < count {
                let byteCount = min(chunkBytes, count - askedBytes)
                // The next window opens only as the file proves to go on.
                if tickets.count > 0, receivedBytes == 0 { break }
                do throws(ClientError) {
                    let ticket = try sendRead(at: offset + UInt64(askedBytes), count: byteCount)
                    tickets.append((ticket, byteCount))
                    askedBytes += byteCount
                } catch {
                    failure = error
                }
            }
            guard let next = tickets.removeFirst() else { break }
            do throws(ClientError) {
                let data = try receiveData(next.ticket)
                if failure == nil, !isAtEnd {
                    receivedBytes += data.count
                    if data.count < next.byteCount { isAtEnd = true }
                    if !data.isEmpty { try body(data) }
                }
            } catch {
                if failure == nil { failure = error }
            }
        } while true
        if let failure { throw failure }
        return receivedBytes
    }

    /// Writes all bytes at `offset`, several requests under way at once.
    public func write(_ data: [UInt8], at offset: UInt64) throws(ClientError) {
        var tickets = Pipeline<(ticket: Client.Ticket, byteCount: Int)>()
        var sentBytes = 0
        var failure: ClientError?
        repeat {
            while failure == nil, sentBytes < data.count, tickets.count < Self.pipelineDepth {
                let byteCount = min(chunkBytes, data.count - sentBytes)
                do throws(ClientError) {
                    let piece = data[sentBytes..<sentBytes + byteCount]
                    let ticket = try sendWrite(piece, at: offset + UInt64(sentBytes))
                    tickets.append((ticket, byteCount))
                    sentBytes += byteCount
                } catch {
                    failure = error
                }
            }
            guard let next = tickets.removeFirst() else { break }
            do throws(ClientError) {
                let count = try receiveCount(next.ticket)
                if count != next.byteCount, failure == nil {
                    failure = .malformed(
                        .truncated(neededBytes: next.byteCount, availableBytes: count))
                }
            } catch {
                if failure == nil { failure = error }
            }
        } while true
        if let failure { throw failure }
    }

    /// Reads a whole directory; opens its own fid.
    public func list() throws(ClientError) -> [RemoteStatus] {
        let directory = try walk([])
        defer { try? directory.clunk() }
        try directory.open()
        var entries: [RemoteStatus] = []
        var offset: UInt64 = 0
        while true {
            let data = try directory.readOnce(at: offset, count: directory.chunkBytes)
            if data.isEmpty { return entries }
            offset += UInt64(data.count)
            var failure: ClientError?
            data.withUnsafeBytes { bytes in
                var reader = WireReader(bytes)
                do throws(ProtocolError) {
                    while reader.remainingBytes > 0 {
                        entries.append(RemoteStatus(try Stat(decoding: &reader)))
                    }
                } catch {
                    failure = .malformed(error)
                }
            }
            if let failure { throw failure }
        }
    }

    // MARK: Single messages

    private func sendRead(at offset: UInt64, count: Int) throws(ClientError) -> Client.Ticket {
        try client.send { (tag, buffer) throws(ProtocolError) in
            try Tread(fid: fid, offset: offset, count: UInt32(clamping: count))
                .encode(tag: tag, into: buffer)
        }
    }

    private func receiveData(_ ticket: Client.Ticket) throws(ClientError) -> [UInt8] {
        try client.receive(ticket) { reply throws(ClientError) in
            guard case .read(let message) = reply else { throw Client.unexpected(reply) }
            return Array(message.data)
        }
    }

    private func sendWrite(
        _ piece: ArraySlice<UInt8>, at offset: UInt64
    ) throws(ClientError) -> Client.Ticket {
        try client.send { (tag, buffer) throws(ProtocolError) in
            var result = Result<Int, ProtocolError>.success(0)
            piece.withUnsafeBytes { data in
                result = Result { () throws(ProtocolError) in
                    try Twrite(fid: fid, offset: offset, data: data).encode(tag: tag, into: buffer)
                }
            }
            return try result.get()
        }
    }

    private func receiveCount(_ ticket: Client.Ticket) throws(ClientError) -> Int {
        try client.receive(ticket) { reply throws(ClientError) in
            guard case .write(let message) = reply else { throw Client.unexpected(reply) }
            return Int(message.count)
        }
    }
}

/// A short queue.
private struct Pipeline<Element> {
    private var items: [Element] = []
    private var firstIndex = 0

    var count: Int { items.count - firstIndex }

    mutating func append(_ item: Element) {
        items.append(item)
    }

    mutating func removeFirst() -> Element? {
        guard firstIndex < items.count else { return nil }
        defer { firstIndex += 1 }
        if firstIndex > 64 {
            items.removeFirst(firstIndex)
            firstIndex = 0
        }
        return items[firstIndex]
    }
}
