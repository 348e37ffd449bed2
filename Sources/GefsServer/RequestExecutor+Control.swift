import GefsEngine
import NIOCore
import NineP

extension RequestExecutor {
    /// Serves the control tree: a root and the file `ctl`.
    func executeControl(
        _ request: Request, _ job: Job, on file: ControlFile, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        switch request {
        case .walk(let message):
            return try walkControl(message, job, from: file, binding, into: &reply)
        case .open(let message):
            try openControl(message, job, file, into: &reply)
        case .read(let message):
            try readControl(message, job, file, into: &reply)
        case .write(let message):
            try writeControl(message, job, file, binding, into: &reply)
        case .stat:
            var failure: RequestError?
            ControlFile.withStat(of: file.node) { stat in
                do throws(RequestError) {
                    try reply.append(Rstat(stat: stat), tag: job.tag, limit: job.messageBytesMax)
                } catch {
                    failure = error
                }
            }
            if let failure { throw failure }
        case .wstat(let message):
            if message.mayBeSync { return .mustSync }
            throw .controlRefuses
        case .clunk:
            try reply.append(Rclunk(), tag: job.tag, limit: job.messageBytesMax)
        case .create, .remove: throw .controlRefuses
        case .version, .auth, .attach, .flush: throw .unknownFid
        }
        return .done
    }

    private func walkControl(
        _ message: Twalk, _ job: Job, from file: ControlFile, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        guard file.openAccess == nil else { throw .fidIsOpen }
        var node = file.node
        var qids = Rwalk()
        for name in message.names {
            guard let next = ControlFile.walk(from: node, name) else {
                if qids.count == 0 { throw .file(.notFound) }
                break
            }
            node = next
            qids.append(ControlFile.qid(next))
        }
        try reply.append(qids, tag: job.tag, limit: job.messageBytesMax)
        guard qids.count == message.names.count else { return .done }
        var bound = binding
        bound.target = .control(ControlFile(node))
        return .bound(bound)
    }

    private func openControl(
        _ message: Topen, _ job: Job, _ file: ControlFile, into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard file.openAccess == nil else { throw .fidIsOpen }
        guard let mode = OpenMode(wire: message.mode) else { throw .file(.badOpenMode) }
        guard mode.access != .execute, !mode.removesOnClose,
            file.node == .control || !mode.allowsWriting
        else { throw .controlRefuses }
        file.openAccess = mode.access.rawValue
        try reply.append(
            Ropen(qid: file.qid, ioUnit: job.ioUnit), tag: job.tag, limit: job.messageBytesMax)
    }

    /// Gives a piece of the last reply, or the root's one stat record.
    private func readControl(
        _ message: Tread, _ job: Job, _ file: ControlFile, into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard file.isOpenForReading else { throw .notOpen }
        guard file.node == .control else {
            return try appendPiece(of: Self.controlListing, message, job, into: &reply)
        }
        let countMax = Self.readBytes(message.count, messageBytesMax: job.messageBytesMax)
        let piece = file.reply.read(at: Int(clamping: message.offset), count: countMax)
        try append(piece[...], job, into: &reply)
    }

    /// Answers a read with what it asks for of `contents`.
    func appendPiece(
        of contents: [UInt8], _ message: Tread, _ job: Job, into reply: inout ByteBuffer
    ) throws(RequestError) {
        let start = min(contents.count, Int(clamping: message.offset))
        let countMax = Self.readBytes(message.count, messageBytesMax: job.messageBytesMax)
        try append(
            contents[start..<start + min(countMax, contents.count - start)], job, into: &reply)
    }

    private func append(
        _ piece: ArraySlice<UInt8>, _ job: Job, into reply: inout ByteBuffer
    ) throws(RequestError) {
        var failure: RequestError?
        reply.reserveCapacity(
            minimumWritableBytes: piece.count + WireLimits.readReplyHeaderBytes)
        piece.withUnsafeBytes { data in
            do throws(RequestError) {
                try reply.append(Rread(data: data), tag: job.tag, limit: job.messageBytesMax)
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
    }

    /// Runs the line that was written; its reply is what the fid then reads.
    private func writeControl(
        _ message: Twrite, _ job: Job, _ file: ControlFile, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard file.openAccess != nil else { throw .notOpen }
        guard file.isOpenForWriting else { throw .notOpenForWriting }
        guard job.mayBlock else { throw .file(.wouldBlock) }
        var line = message.data
        while let last = line.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") {
            line = UnsafeRawBufferPointer(rebasing: line.dropLast())
        }
        let command = String(decoding: line, as: UTF8.self)
        let spool = ReplySpool()
        shared.controlHandler?.run(command, user: binding.user) { spool.append($0) }
        file.reply = spool
        try reply.append(
            Rwrite(count: UInt32(clamping: message.data.count)), tag: job.tag,
            limit: job.messageBytesMax)
    }

    /// The root directory's contents.
    private static let controlListing: [UInt8] = ControlFile.withStat(of: .control) { stat in
        [UInt8](unsafeUninitializedCapacity: stat.byteCount) { buffer, count in
            var writer = WireWriter(UnsafeMutableRawBufferPointer(buffer))
            stat.encode(into: &writer)
            count = writer.byteCount
        }
    }
}
