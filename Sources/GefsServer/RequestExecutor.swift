import GefsEngine
import Logging
import NIOCore
import NineP
import Synchronization

/// What a request did to its fid; the connection's event loop applies it.
enum Outcome {
    case done
    /// A walk or attach: what the new fid stands for.
    case bound(FidBinding)
    /// A create: the fid is another file now, of this type.
    case created(qidType: UInt8)
    /// A directory read gave nothing because the next record is larger than its count.
    case recordDidNotFit
    /// A wstat that changes nothing: a sync, for a thread that may wait for a commit.
    case mustSync
}

/// Turns requests into calls of the engine and their results into replies.
///
/// Knows nothing of fids and connections' states, so that event loops and pool threads share it. With
/// `mayBlock` false whatever would wait throws `FileError.wouldBlock`, having done nothing.
struct RequestExecutor: Sendable {
    let fileSystem: FileSystem
    let authentication: AuthenticationPolicy
    let peer: Peer
    let isControlListener: Bool
    let shared: SharedServerState
    let logger: Logger

    /// One request, its fid resolved.
    struct Job {
        var tag: Tag
        var binding: FidBinding?
        var messageBytesMax: Int
        var mayBlock: Bool

        var caller: Caller {
            Caller(
                user: binding?.user ?? .none, isPermissive: binding?.isPermissive ?? false,
                mayBlock: mayBlock)
        }

        /// What Ropen and Rcreate promise to move as a unit.
        var ioUnit: UInt32 {
            UInt32(clamping: messageBytesMax - WireLimits.ioHeaderBytes)
        }
    }

    /// Carries the request out and appends its reply; appends nothing when it throws.
    func execute(
        _ request: Request, _ job: Job, into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        if case .attach(let message) = request { return try attach(message, job, into: &reply) }
        guard let binding = job.binding else { throw .unknownFid }
        switch binding.target {
        case .file(let handle):
            if let administration = binding.administration,
                try executeAdministration(
                    request, job, on: handle, administration, into: &reply)
            {
                return .done
            }
            return try execute(request, job, on: handle, binding, into: &reply)
        case .control(let file):
            return try executeControl(request, job, on: file, binding, into: &reply)
        }
    }

    private func execute(
        _ request: Request, _ job: Job, on handle: FileHandle, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        switch request {
        case .walk(let message):
            return try walk(message, job, from: handle, binding, into: &reply)
        case .open(let message): try open(message, job, handle, into: &reply)
        case .create(let message): return try create(message, job, handle, into: &reply)
        case .read(let message):
            return try read(message, job, handle, binding, into: &reply)
        case .write(let message): try write(message, job, handle, into: &reply)
        case .stat: try stat(job, handle, into: &reply)
        case .wstat(let message): return try wstat(message, job, handle, into: &reply)
        case .clunk: try clunk(job, handle, into: &reply)
        case .remove: try remove(job, handle, into: &reply)
        case .version, .auth, .attach, .flush: throw .unknownFid
        }
        return .done
    }

    /// Runs a request that was handed to a thread that may block.
    func perform(_ pending: PendingRequest) {
        let job = Job(
            tag: pending.tag, binding: pending.binding, messageBytesMax: pending.messageBytesMax,
            mayBlock: true)
        var reply = ByteBuffer()
        pending.frame.withUnsafeReadableBytes { bytes in
            do throws(ProtocolError) {
                guard let frame = try Frame(firstOf: bytes, limit: bytes.count) else { return }
                let request = try Request(frame)
                do throws(RequestError) {
                    pending.outcome = try execute(request, job, into: &reply)
                } catch {
                    fail(error, job, into: &reply)
                }
            } catch {
                // The event loop has decoded the same bytes before.
                assertionFailure("\(error)")
            }
        }
        pending.reply = reply
    }

    /// Makes the reply to a sync that others may have shared.
    func finishSync(_ pending: PendingRequest, _ result: Result<Void, FileError>) {
        let job = Job(
            tag: pending.tag, binding: pending.binding, messageBytesMax: pending.messageBytesMax,
            mayBlock: true)
        do throws(RequestError) {
            do throws(FileError) { try result.get() } catch { throw .file(error) }
            try pending.reply.append(Rwstat(), tag: job.tag, limit: job.messageBytesMax)
        } catch {
            fail(error, job, into: &pending.reply)
        }
    }

    /// Appends the error's reply, and tells the log of those that a client cannot have caused.
    func fail(_ error: RequestError, _ job: Job, into reply: inout ByteBuffer) {
        if case .file(let error) = error {
            switch error {
            case .corrupt, .badRecord, .missingRoot, .store, .device:
                logger.error("request failed", metadata: ["error": "\(error)"])
            default: break
            }
        }
        reply.append(error, tag: job.tag, limit: job.messageBytesMax)
    }
}

/// What all connections of a server share besides the file system.
final class SharedServerState: Sendable {
    let isPermissive: Atomic<Bool>
    let controlHandler: (any ControlHandler)?
    let limits = SharedLimits()

    init(isPermissive: Bool, controlHandler: (any ControlHandler)?) {
        self.isPermissive = Atomic(isPermissive)
        self.controlHandler = controlHandler
    }
}

/// Calls the engine and carries its errors over.
@inline(__always)
func asking<R>(_ body: () throws(FileError) -> R) throws(RequestError) -> R {
    do throws(FileError) { return try body() } catch { throw .file(error) }
}

extension Qid {
    /// As it goes over the wire.
    var wire: WireQid { WireQid(type: type, version: version, path: path) }
}
