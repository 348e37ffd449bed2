import GefsEngine
import NIOCore
import NineP

extension RequestExecutor {
    /// Walks as far as it goes; all the way makes a new fid. Source: SEMANTICS 3.
    func walk(
        _ message: Twalk, _ job: Job, from start: FileHandle, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        guard !start.isOpen else { throw .fidIsOpen }
        var qids = Rwalk()
        var reached: FileHandle?
        for name in message.names {
            do throws(FileError) {
                let next = try fileSystem.walk(from: reached ?? start, name, as: job.caller)
                if let reached { fileSystem.close(reached) }
                reached = next
                qids.append(next.qid.wire)
            } catch {
                if let reached, error == .wouldBlock || qids.count > 0 {
                    fileSystem.close(reached)
                }
                if error == .wouldBlock { throw .file(error) }
                if qids.count == 0 { throw .file(Self.firstElementError(error)) }
                try reply.append(qids, tag: job.tag, limit: job.messageBytesMax)
                return .done
            }
        }
        var bound = binding
        let handle = reached ?? fileSystem.clone(start)
        bound.target = .file(handle)
        bound.administration = handle.administrationFile.map {
            AdministrationFid($0, shared.limits)
        }
        if let last = qids.last { bound.qidType = last.type }
        do throws(RequestError) {
            try reply.append(qids, tag: job.tag, limit: job.messageBytesMax)
        } catch {
            bound.handle.map { fileSystem.close($0) }
            throw error
        }
        return .bound(bound)
    }

    /// What a walk says whose first element fails: it is not there, whatever the reason; but
    /// damage is not hidden.
    private static func firstElementError(_ error: FileError) -> FileError {
        switch error {
        case .nameTooLong, .corrupt, .badRecord, .missingRoot, .store, .device, .closed: error
        default: .notFound
        }
    }

    func open(
        _ message: Topen, _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard let mode = OpenMode(wire: message.mode) else { throw .file(.badOpenMode) }
        try asking { () throws(FileError) in try fileSystem.open(handle, mode, as: job.caller) }
        try reply.append(
            Ropen(qid: handle.qid.wire, ioUnit: job.ioUnit), tag: job.tag,
            limit: job.messageBytesMax)
    }

    func create(
        _ message: Tcreate, _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        guard let mode = OpenMode(wire: message.mode) else { throw .file(.badOpenMode) }
        try asking { () throws(FileError) in
            try fileSystem.create(
                in: handle, name: message.name, mode: message.permissions, mode, as: job.caller)
        }
        let qid = handle.qid.wire
        try reply.append(
            Rcreate(qid: qid, ioUnit: job.ioUnit), tag: job.tag, limit: job.messageBytesMax)
        return .created(qidType: qid.type)
    }

    func write(
        _ message: Twrite, _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard let mode = handle.openMode else { throw .notOpen }
        guard mode.allowsWriting else { throw .notOpenForWriting }
        let count = try asking { () throws(FileError) in
            try fileSystem.write(handle, at: message.offset, from: message.data, as: job.caller)
        }
        try reply.append(
            Rwrite(count: UInt32(clamping: count)), tag: job.tag, limit: job.messageBytesMax)
    }

    /// Gives the fid up; on a thread that may block where that removes the file.
    func clunk(
        _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) {
        if !job.mayBlock, handle.removesOnClose { throw .file(.wouldBlock) }
        fileSystem.close(handle)
        try reply.append(Rclunk(), tag: job.tag, limit: job.messageBytesMax)
    }

    /// Removes the file and gives the fid up, whether that worked or not.
    func remove(
        _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) {
        if !job.mayBlock, handle.removesOnClose { throw .file(.wouldBlock) }
        do throws(FileError) {
            try fileSystem.remove(handle, as: job.caller)
        } catch {
            if !job.mayBlock, error == .wouldBlock { throw .file(error) }
            fileSystem.close(handle)
            throw .file(error)
        }
        fileSystem.close(handle)
        try reply.append(Rremove(), tag: job.tag, limit: job.messageBytesMax)
    }
}

extension OpenMode {
    /// Reads the mode byte of Topen and Tcreate; nil for an access of 4 to 15. Source: SEMANTICS 4.
    init?(wire mode: UInt8) {
        guard let access = Access(rawValue: mode & OpenFlags.accessMask) else { return nil }
        self.init(
            access, truncates: mode & OpenFlags.truncate != 0,
            removesOnClose: mode & OpenFlags.removeOnClose != 0)
    }
}
