import GefsEngine
import Glibc

extension FileError {
    /// What the kernel hands to programs.
    var errno: Int32 {
        switch self {
        case .wouldBlock, .interference: EAGAIN
        case .corrupt, .badRecord, .missingRoot, .store, .messageToMissingKey: EIO
        case .device: EIO
        case .notFound, .unknownLabel, .branchName: ENOENT
        case .exists, .label(.exists, _): EEXIST
        case .label(.inUse, _): EBUSY
        case .label(.reserved, _): EPERM
        case .notADirectory: ENOTDIR
        case .isADirectory: EISDIR
        case .directoryNotEmpty: ENOTEMPTY
        case .insideItself: EINVAL
        case .otherBranch: EXDEV
        case .permissionDenied, .locked: EACCES
        case .badName: EINVAL
        case .nameTooLong: ENAMETOOLONG
        case .removed: ESTALE
        case .readOnly: EROFS
        case .volumeFull, .qidsExhausted: ENOSPC
        case .fileTooBig, .offsetOutOfRange, .negativeLength: EFBIG
        case .notOwner, .notOwnerOrLeader, .notInGroup, .unknownUser, .unknownGroup: EPERM
        case .outOfThreads: ENOMEM
        case .unsupported: EOPNOTSUPP
        case .tooManyLinks: EMLINK
        case .noAttribute: ENODATA
        case .attributeTooBig: ENOSPC
        case .closed: ENODEV
        case .notOpen, .badOpenMode, .alreadyOpen: EBADF
        default: EINVAL
        }
    }
}
