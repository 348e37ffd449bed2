import GefsEngine
import NIOCore
import NineP

/// A fid on one of the files of label `adm` that the server carries out. Source: SEMANTICS 9,
/// dialect N.
///
/// Used by one request at a time: every request on such a fid holds it exclusively.
final class AdministrationFid: @unchecked Sendable {
    let file: AdministrationFile
    /// What reads give, so that a client that reads in pieces sees one state; made anew by each
    /// read at offset 0. Nil, too, where all clients together hold too much of it.
    private(set) var text: [UInt8]?
    private let limits: SharedLimits

    init(_ file: AdministrationFile, _ limits: SharedLimits) {
        self.file = file
        self.limits = limits
    }

    deinit {
        keep(nil)
    }

    /// Keeps a text in place of the one before, if there is room.
    func keep(_ new: [UInt8]?) {
        let change = (new?.count ?? 0) - (text?.count ?? 0)
        let total = limits.statusBytes.add(change, ordering: .relaxed).newValue
        text = new
        guard new != nil, total > ServerConfiguration.statusBytesMax else { return }
        keep(nil)
    }

    /// Bytes of a line, its newline included, that `ctl` takes at most.
    static let lineBytesMax = 255
}

extension RequestExecutor {
    /// Reads `status`, and runs what is written to `ctl`.
    ///
    /// - Returns: false for what these files have in common with all others.
    func executeAdministration(
        _ request: Request, _ job: Job, on handle: FileHandle, _ fid: AdministrationFid,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Bool {
        switch request {
        case .read(let message): try read(message, job, handle, fid, into: &reply)
        case .write(let message): try write(message, job, handle, fid, into: &reply)
        default: return false
        }
        return true
    }

    private func read(
        _ message: Tread, _ job: Job, _ handle: FileHandle, _ fid: AdministrationFid,
        into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard handle.openMode?.allowsReading ?? false else { throw .notOpen }
        let contents: [UInt8]
        if let text = fid.text, message.offset > 0 {
            contents = text
        } else {
            // Labels and settings may have to be read from the device.
            guard job.mayBlock else { throw .file(.wouldBlock) }
            contents = try contentsNow(of: fid.file)
            fid.keep(contents)
        }
        try appendPiece(of: contents, message, job, into: &reply)
    }

    /// A server that only reads serves what the disk holds, to the byte: nothing.
    private func contentsNow(of file: AdministrationFile) throws(RequestError) -> [UInt8] {
        let onlyReads = fileSystem.isReadOnly && fileSystem.failure == nil
        guard file == .status, !onlyReads, let handler = shared.controlHandler else { return [] }
        return Array(try asking { () throws(FileError) in try handler.status() }.utf8)
    }

    private func write(
        _ message: Twrite, _ job: Job, _ handle: FileHandle, _ fid: AdministrationFid,
        into reply: inout ByteBuffer
    ) throws(RequestError) {
        guard let mode = handle.openMode else { throw .notOpen }
        guard mode.allowsWriting else { throw .notOpenForWriting }
        guard fid.file == .control else { throw .file(.permissionDenied) }
        if fileSystem.isReadOnly { throw .file(.readOnly) }
        guard message.offset == 0, message.data.count <= AdministrationFid.lineBytesMax,
            let handler = shared.controlHandler
        else { throw .message(.invalid) }
        guard job.mayBlock else { throw .file(.wouldBlock) }
        var line = message.data
        while let last = line.last, last == UInt8(ascii: "\n") || last == UInt8(ascii: "\r") {
            line = UnsafeRawBufferPointer(rebasing: line.dropLast())
        }
        let command = String(decoding: line, as: UTF8.self)
        do throws(ControlMessageError) {
            try handler.runMessage(command, user: job.caller.user)
        } catch {
            throw .message(error)
        }
        try reply.append(
            Rwrite(count: UInt32(clamping: message.data.count)), tag: job.tag,
            limit: job.messageBytesMax)
    }
}
