import CFuse3
import Glibc

/// What a request says beyond what libfuse hands on.
///
/// Noted when a request comes from the kernel, on the thread that answers it.
struct RequestFlags: OptionSet {
    let rawValue: UInt

    /// The caller may not keep set-id bits of what it changes.
    static let clearsSetIDs = RequestFlags(rawValue: 1)

    /// Those of the write or setattr that this thread is answering.
    static var current: RequestFlags {
        RequestFlags(rawValue: UInt(bitPattern: pthread_getspecific(key)))
    }

    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key, nil)
        return key
    }()

    /// Looks at a request before libfuse does, and calls it by a name that libfuse knows.
    static func note(_ request: UnsafeMutableRawBufferPointer) {
        let headBytes = MemoryLayout<fuse_in_header>.size
        guard request.count >= headBytes else { return }
        func argument<Argument>(_ type: Argument.Type) -> Argument? {
            guard request.count >= headBytes + MemoryLayout<Argument>.size else { return nil }
            return request.loadUnaligned(fromByteOffset: headBytes, as: type)
        }
        var isSet = false
        var head = request.loadUnaligned(as: fuse_in_header.self)
        switch head.opcode {
        case FUSE_WRITE.rawValue:
            let flags = argument(fuse_write_in.self)?.write_flags ?? 0
            isSet = flags & UInt32(FUSE_WRITE_KILL_SUIDGID) != 0
        case FUSE_SETATTR.rawValue:
            let flags = argument(fuse_setattr_in.self)?.valid ?? 0
            isSet = flags & UInt32(FATTR_KILL_SUIDGID) != 0
        case KernelInterface.makeNameless:
            head.opcode = FUSE_CREATE.rawValue
            return request.storeBytes(of: head, as: fuse_in_header.self)
        default: return
        }
        let flags: RequestFlags = isSet ? .clearsSetIDs : []
        pthread_setspecific(key, UnsafeRawPointer(bitPattern: flags.rawValue))
    }
}
