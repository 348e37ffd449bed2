import GefsEngine
import NIOCore
import NineP

extension Connection {
    /// Takes a request back from the thread that ran it. Called on that thread.
    func complete(_ request: PendingRequest) {
        let isFirst = completions.withLock { completions in
            completions.append(request)
            return completions.count == 1
        }
        if isFirst { eventLoop.execute { [self] in takeCompletions() } }
    }

    private func takeCompletions() {
        let finished = completions.withLock { completions in
            defer { completions = [] }
            return completions
        }
        for request in finished { finish(request) }
        flushInTurn()
        advance()
    }

    /// Goes on after requests have finished.
    func advance() {
        continueReset()
        endIfIdle()
        proceed()
    }

    /// Applies what a request has done, answers it, and lets those go on that waited for it.
    private func finish(_ request: PendingRequest) {
        let reserved = request.reserved
        if let held = request.held {
            held.fid.release(held.access)
            apply(request.outcome, to: held.fid, reserved: reserved)
        } else if case .bound(let binding) = request.outcome {
            if let reserved {
                reserved.binding = binding
            } else {
                // An attach to a fid that was taken when it came, refused last of all.
                close(binding)
                request.reply.clear()
                request.reply.append(.fidInUse, tag: request.tag, limit: frameBytesMax)
            }
        }
        settle(reserved)
        if !request.isDropped { append(reply: request.reply) }
        retire(request)
        if let reserved { wake(reserved) }
        if let held = request.held { wake(held.fid) }
    }

    /// What a request did on the event loop itself.
    func apply(_ outcome: Outcome, to fid: Fid, newFid: FidNumber?) {
        if let newFid, case .bound(let binding) = outcome {
            fids[newFid] = Fid(number: newFid, binding: binding)
        } else {
            apply(outcome, to: fid, reserved: nil)
        }
    }

    private func apply(_ outcome: Outcome, to fid: Fid, reserved: Fid?) {
        switch outcome {
        case .done, .mustSync: break
        case .created(let qidType): fid.binding?.qidType = qidType
        case .recordDidNotFit: fid.binding?.recordDidNotFit = true
        case .bound(let binding):
            if let reserved {
                reserved.binding = binding
            } else {
                let old = fid.binding
                fid.binding = binding
                if let old { close(old) }
            }
        }
    }

    /// Ends the making of a fid: it is there now, or it never was.
    private func settle(_ reserved: Fid?) {
        guard let reserved else { return }
        reserved.release(.exclusive)
        if reserved.binding == nil { fids[reserved.number] = nil }
    }

    /// Lets those go on that wait for the fid, in order, as far as they can. When the fid is gone,
    /// all of them find out.
    func wake(_ fid: Fid) {
        while let next = fid.waiting.first {
            let isLive = fids[fid.number] === fid
            if isLive, !fid.admits(next.wantedAccess) { return }
            fid.waiting.removeFirst()
            next.waitsFor = nil
            next.turn = fid
            defer { next.turn = nil }
            next.frame.withUnsafeReadableBytes { bytes in
                do throws(ProtocolError) {
                    guard let frame = try Frame(firstOf: bytes, limit: bytes.count) else { return }
                    try handle(frame, from: .pending(next))
                } catch {
                    // It was decoded when it came.
                    assertionFailure("\(error)")
                }
            }
        }
    }

    /// Forgets a request that was answered or will not be; then those are answered that flush it.
    func retire(_ request: PendingRequest) {
        guard outstanding[request.tag] === request else { return }
        outstanding[request.tag] = nil
        outstandingBytes -= request.byteCost
        for tag in request.flushers {
            waitingFlushes[tag] = nil
            if !request.isDropped { append(Rflush(), tag: tag) }
        }
        request.flushers = []
    }

    // MARK: Tflush

    /// Answers when the old request cannot be answered any more. Source: SEMANTICS 2, flush(5).
    func flush(_ message: Tflush, tag: Tag) {
        guard let target = outstanding[message.oldTag] ?? waitingFlushes[message.oldTag] else {
            return append(Rflush(), tag: tag)
        }
        if target.tag == message.oldTag, let freed = withdraw(target) {
            retire(target)
            append(Rflush(), tag: tag)
            for fid in freed { wake(fid) }
            return
        }
        target.flushers.append(tag)
        waitingFlushes[tag] = target
    }

    /// Takes back a request that has not started; gives the fids that others may use now. Nil when
    /// it has started, or gives up a fid, which clients take for done whatever the answer.
    func withdraw(_ request: PendingRequest) -> [Fid]? {
        guard !request.endsFid else { return nil }
        if let fid = request.waitsFor {
            fid.waiting.removeAll { $0 === request }
            request.waitsFor = nil
            return [fid]
        }
        guard request.cancel() else { return nil }
        var freed: [Fid] = []
        if let held = request.held {
            held.fid.release(held.access)
            freed.append(held.fid)
        }
        if let reserved = request.reserved {
            settle(reserved)
            freed.append(reserved)
        }
        return freed
    }
}
