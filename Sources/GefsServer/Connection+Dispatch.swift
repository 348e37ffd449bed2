import GefsEngine
import NIOCore
import NineP

extension Connection {
    /// Where a request's bytes are.
    enum Origin {
        /// In what was received, so many bytes behind its start.
        case run(ByteBuffer, offset: Int)
        /// In a request that has waited.
        case pending(PendingRequest)

        var pending: PendingRequest? {
            if case .pending(let request) = self { return request }
            return nil
        }
    }

    /// Carries a message out, or sees to it that this happens.
    ///
    /// - Throws: what ends the connection: a message that cannot be decoded, or one before the
    ///   session has begun.
    func handle(_ frame: Frame, from origin: Origin) throws(ProtocolError) {
        let request: Request
        do throws(ProtocolError) {
            request = try Request(frame)
        } catch {
            if case .unknownType(let type) = error, messageBytesMax != nil {
                return append(.unknownMessage(type), tag: frame.tag)
            }
            throw error
        }
        if case .version(let message) = request { return beginSession(message, tag: frame.tag) }
        guard messageBytesMax != nil else { throw .unknownType(frame.rawType) }
        if origin.pending == nil, isInUse(frame.tag) {
            return append(.tagInUse, tag: frame.tag)
        }
        switch request {
        case .version: break
        case .auth(let message): append(executor.auth(message), tag: frame.tag)
        case .flush(let message): flush(message, tag: frame.tag)
        case .attach(let message): attach(message, frame, origin)
        case .walk, .open, .create, .read, .write, .clunk, .remove, .stat, .wstat:
            dispatch(request, frame, origin)
        }
    }

    private func isInUse(_ tag: Tag) -> Bool {
        if outstanding.isEmpty { return false }
        return outstanding[tag] != nil || waitingFlushes[tag] != nil
    }

    // MARK: Requests on a fid

    private func dispatch(_ request: Request, _ frame: Frame, _ origin: Origin) {
        guard let number = request.fid, let fid = fids[number] else {
            return fail(.unknownFid, frame.tag, origin)
        }
        let access = fid.access(for: request)
        // What has waited has had its turn; everything else queues behind those who wait.
        guard fid.admits(access), fid.waiting.isEmpty || origin.pending != nil else {
            return wait(for: fid, access, request, frame, origin)
        }
        var newFid: FidNumber?
        if case .walk(let message) = request, message.newFid != message.fid {
            if let taken = fids[message.newFid] {
                if isSettled(taken, for: origin) { return fail(.fidInUse, frame.tag, origin) }
                return wait(for: taken, .exclusive, request, frame, origin)
            }
            guard hasRoomForFid else {
                return fail(.tooManyFids, frame.tag, origin)
            }
            newFid = message.newFid
        }
        let endsFid = request.endsFid
        if endsFid { fids[number] = nil }
        let job = job(frame, fid.binding, mayBlock: false)
        makeRoom(replyBytesMax(for: request))
        do throws(RequestError) {
            let outcome = try executor.execute(request, job, into: &replies)
            if case .mustSync = outcome { throw .file(.wouldBlock) }
            apply(outcome, to: fid, newFid: newFid)
        } catch {
            if error == .file(.wouldBlock) {
                return handOver(request, frame, origin, fid, access, newFid)
            }
            executor.fail(error, job, into: &replies)
        }
        if let pending = origin.pending { retire(pending) }
    }

    /// Lets a pool carry the request out, which holds its fid meanwhile.
    private func handOver(
        _ request: Request, _ frame: Frame, _ origin: Origin, _ fid: Fid, _ access: FidAccess,
        _ newFid: FidNumber?
    ) {
        let pending = postpone(request, frame, origin)
        fid.acquire(access)
        pending.held = (fid, access)
        pending.binding = fid.binding
        if let newFid {
            let reserved = Fid(number: newFid, binding: nil)
            fids[newFid] = reserved
            pending.reserved = reserved
        }
        pending.lane = lane(for: request, fid.binding)
        pending.messageBytesMax = frameBytesMax
        environment.pools.submit(pending)
    }

    private func lane(for request: Request, _ binding: FidBinding?) -> PendingRequest.Lane {
        switch request {
        case .wstat(let message): return message.mayBeSync ? .sync : .device
        case .write:
            if case .control = binding?.target { return .control }
            if binding?.administration != nil { return .control }
            return .device
        default: return .device
        }
    }

    private func attach(_ message: Tattach, _ frame: Frame, _ origin: Origin) {
        if let taken = fids[message.fid], !isSettled(taken, for: origin) {
            return wait(for: taken, .exclusive, .attach(message), frame, origin)
        }
        guard hasRoomForFid || fids[message.fid] != nil else {
            return fail(.tooManyFids, frame.tag, origin)
        }
        let job = job(frame, nil, mayBlock: false)
        makeRoom(ByteBuffer.smallReplyBytesMax)
        let replyStart = replies.writerIndex
        do throws(RequestError) {
            let outcome = try executor.execute(.attach(message), job, into: &replies)
            if fids[message.fid] != nil {
                // Refused last: whatever else is wrong with the attach comes first.
                if case .bound(let binding) = outcome { close(binding) }
                replies.moveWriterIndex(to: replyStart)
                throw .fidInUse
            }
            if case .bound(let binding) = outcome {
                fids[message.fid] = Fid(number: message.fid, binding: binding)
            }
        } catch {
            if error == .file(.wouldBlock) { return handOverAttach(message, frame, origin) }
            executor.fail(error, job, into: &replies)
        }
        if let pending = origin.pending { retire(pending) }
    }

    private func handOverAttach(_ message: Tattach, _ frame: Frame, _ origin: Origin) {
        let pending = postpone(.attach(message), frame, origin)
        if fids[message.fid] == nil {
            let reserved = Fid(number: message.fid, binding: nil)
            fids[message.fid] = reserved
            pending.reserved = reserved
        }
        pending.messageBytesMax = frameBytesMax
        environment.pools.submit(pending)
    }

    /// Whether a fid that a request wants to make is there for good: nobody uses it, and nobody came
    /// before who may end it. One who has had its turn must not go behind those who came later, who
    /// would do the same, without end.
    private func isSettled(_ taken: Fid, for origin: Origin) -> Bool {
        if let turn = origin.pending?.turn, turn === taken { return taken.admits(.exclusive) }
        return taken.isIdle
    }

    /// Puts the request behind those that use the fid.
    private func wait(
        for fid: Fid, _ access: FidAccess, _ request: Request, _ frame: Frame, _ origin: Origin
    ) {
        let pending = postpone(request, frame, origin)
        pending.waitsFor = fid
        pending.wantedAccess = access
        fid.waiting.append(pending)
    }

    /// Keeps a request for later, and accounts for it.
    private func postpone(
        _ request: Request, _ frame: Frame, _ origin: Origin
    ) -> PendingRequest {
        switch origin {
        case .pending(let pending): return pending
        case .run(let run, let offset):
            let bytes = Self.bytes(of: frame, in: run, at: offset)
            let pending = PendingRequest(
                connection: self, tag: frame.tag, frame: bytes,
                byteCost: frame.byteCount + replyBytesMax(for: request))
            pending.endsFid = request.endsFid
            outstanding[frame.tag] = pending
            outstandingBytes += pending.byteCost
            return pending
        }
    }

    /// Keeps a message's bytes: a large one by holding on to what was received, a small one by
    /// copying, so that it does not keep a large buffer alive.
    private static func bytes(of frame: Frame, in run: ByteBuffer, at offset: Int) -> ByteBuffer {
        let start = run.readerIndex + offset
        if frame.byteCount >= 4096, frame.byteCount * 4 >= run.storageCapacity,
            let slice = run.getSlice(at: start, length: frame.byteCount)
        {
            return slice
        }
        var copy = ByteBufferAllocator().buffer(capacity: frame.byteCount)
        run.withUnsafeReadableBytes { bytes in
            _ = copy.writeBytes(
                UnsafeRawBufferPointer(rebasing: bytes.dropFirst(offset).prefix(frame.byteCount)))
        }
        return copy
    }

    func job(_ frame: Frame, _ binding: FidBinding?, mayBlock: Bool) -> RequestExecutor.Job {
        RequestExecutor.Job(
            tag: frame.tag, binding: binding, messageBytesMax: frameBytesMax, mayBlock: mayBlock)
    }

    /// Bytes that the reply may take.
    private func replyBytesMax(for request: Request) -> Int {
        guard case .read(let message) = request else { return ByteBuffer.smallReplyBytesMax }
        let dataBytes = RequestExecutor.readBytes(message.count, messageBytesMax: frameBytesMax)
        return max(ByteBuffer.smallReplyBytesMax, dataBytes + WireLimits.readReplyHeaderBytes)
    }

    private func fail(_ error: RequestError, _ tag: Tag, _ origin: Origin) {
        append(error, tag: tag)
        if let pending = origin.pending { retire(pending) }
    }
}

extension Request {
    /// Whether the fid is gone afterwards, whatever the reply.
    var endsFid: Bool {
        switch self {
        case .clunk, .remove: true
        default: false
        }
    }
}
