import GefsEngine
import NineP

/// What a fid stands for, and with whose rights.
struct FidBinding {
    enum Target {
        case file(FileHandle)
        case control(ControlFile)
    }

    var target: Target
    var user: UserID
    /// Attached with `%`: permissions do not apply.
    var isPermissive: Bool
    /// The file's type bits when the fid came to be what it is.
    var qidType: UInt8
    /// The last directory read gave nothing because a record was larger than its count.
    var recordDidNotFit = false
    /// Set where the file is one that the server carries out.
    var administration: AdministrationFid?

    /// The handle that has to be closed when the fid goes.
    var handle: FileHandle? {
        switch target {
        case .file(let handle): handle
        case .control: nil
        }
    }
}

/// How a request uses its fid.
enum FidAccess {
    /// Beside others of its kind.
    case shared
    /// Alone: it changes what the fid is, or its effect depends on the order.
    case exclusive
}

/// One entry of a connection's fid table.
///
/// Invariants, all confined to the connection's event loop:
/// - a request that runs on another thread is counted in `sharedCount` or `isExclusive`;
/// - requests wait in the order of their arrival, and nothing overtakes them on this fid;
/// - without a binding the fid is being made by a walk or attach, which holds it exclusively.
final class Fid {
    let number: FidNumber
    var binding: FidBinding?
    private(set) var sharedCount = 0
    private(set) var isExclusive = false
    var waiting: [PendingRequest] = []

    init(number: FidNumber, binding: FidBinding?) {
        self.number = number
        self.binding = binding
        if binding == nil { isExclusive = true }
    }

    /// Whether nobody uses the fid or waits for it.
    var isIdle: Bool { sharedCount == 0 && !isExclusive && waiting.isEmpty }

    func admits(_ access: FidAccess) -> Bool {
        switch access {
        case .shared: !isExclusive
        case .exclusive: !isExclusive && sharedCount == 0
        }
    }

    func acquire(_ access: FidAccess) {
        assert(admits(access))
        switch access {
        case .shared: sharedCount += 1
        case .exclusive: isExclusive = true
        }
    }

    func release(_ access: FidAccess) {
        switch access {
        case .shared:
            assert(sharedCount > 0)
            sharedCount -= 1
        case .exclusive:
            assert(isExclusive)
            isExclusive = false
        }
    }

    /// How a request has to be ordered with others on this fid.
    ///
    /// Directory reads move a cursor, and writes to an append-only file land in the order in which
    /// they run.
    func access(for request: Request) -> FidAccess {
        guard let binding, case .file = binding.target, binding.administration == nil else {
            return .exclusive
        }
        switch request {
        case .read: return binding.qidType & WireQid.directoryType != 0 ? .exclusive : .shared
        case .write: return binding.qidType & WireQid.appendOnlyType != 0 ? .exclusive : .shared
        case .stat: return .shared
        case .walk(let message): return message.fid == message.newFid ? .exclusive : .shared
        case .wstat(let message): return message.mayBeSync ? .shared : .exclusive
        case .version, .auth, .attach, .flush, .open, .create, .clunk, .remove: return .exclusive
        }
    }
}

extension Request {
    /// The fid that the request is about; nil for those of the session.
    var fid: FidNumber? {
        switch self {
        case .version, .auth, .attach, .flush: nil
        case .walk(let message): message.fid
        case .open(let message): message.fid
        case .create(let message): message.fid
        case .read(let message): message.fid
        case .write(let message): message.fid
        case .clunk(let message): message.fid
        case .remove(let message): message.fid
        case .stat(let message): message.fid
        case .wstat(let message): message.fid
        }
    }
}

extension Twstat {
    /// Whether the record changes nothing, so that the request is a sync.
    var mayBeSync: Bool {
        guard let stat = try? Stat(record: record) else { return false }
        return stat.changesNothing
    }
}

extension Stat {
    /// Whether every field that a wstat may change says not to; type, device and the last
    /// modifier cannot be changed at all.
    var changesNothing: Bool {
        qid == .untouched && mode == Untouched.mode && accessTime == Untouched.time
            && modificationTime == Untouched.time && length == Untouched.length
            && name.isEmpty && user.isEmpty && group.isEmpty
    }
}
