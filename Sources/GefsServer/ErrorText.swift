import GefsEngine
import NineP

/// The one table of the texts that errors have on the wire. Source: SEMANTICS 11.
enum ErrorText {
    /// Ends in the type's number, which `text(of:)` adds.
    static let unknownMessage: StaticString = "unknown message"
    /// Followed by the reason, which `ByteBuffer.append(_:tag:limit:)` adds.
    static let refused: StaticString = "ctl -- "

    static func text(of error: RequestError) -> StaticString {
        switch error {
        case .file(let error): text(of: error)
        case .unknownFid: "unknown fid"
        case .fidInUse: "fid in use"
        case .tagInUse: "tag in use"
        case .tooManyFids: "out of memory"
        case .fidIsOpen, .notOpenForWriting: "resource in use"
        case .unknownMessage: unknownMessage
        case .unparsableStat: "invalid directory"
        case .replyTooLarge: "protocol botch"
        case .authenticationDisabled: "authentication failed"
        case .authenticationNeedless: "auth -- user 'none' requires no authentication"
        case .attachDenied: "attach -- unknown user or failed authentication"
        case .controlRefuses: "permission denied"
        case .notOpen: "read/write -- on non open fid"
        case .message(.invalid): "invalid control message"
        case .message(.checkFailed): "check -- fs not ok"
        case .message(.file(let error)): text(of: error)
        case .message(.refused): refused
        }
    }

    static func text(of error: FileError) -> StaticString {
        switch error {
        case .wouldBlock: "internal error"
        case .corrupt, .badRecord, .missingRoot: "block contents corrupted"
        case .store, .device, .closed, .outOfThreads: "i/o error"
        case .notFound: "directory entry not found"
        case .exists: "create/wstat -- file exists"
        case .notADirectory: "create -- in a non-directory"
        case .isADirectory: "permission denied"
        case .directoryNotEmpty: "directory is not empty"
        case .insideItself: "directory would lie inside itself"
        case .otherBranch: "not in the same branch"
        case .permissionDenied: "permission denied"
        case .badName: "create/wstat -- bad character in file name"
        case .nameTooLong: "name too long"
        case .unknownModeBits: "wstat -- unknown bits in qid.type/mode"
        case .authOrMountBits: "protocol botch"
        case .badOpenMode: "open/create -- unknown mode"
        case .alreadyOpen: "resource in use"
        case .notOpen: "read/write -- on non open fid"
        case .locked: "open/create -- file is locked"
        case .removed: "phase error -- use after remove"
        case .readOnly: "file system read only"
        case .volumeFull: "file system full"
        case .offsetOutOfRange: "read/write -- offset negative"
        case .badDirectoryOffset: "invalid dir scan offset"
        case .recordDoesNotFit: "protocol botch"
        case .noCommonAncestor: "branches have nothing in common"
        case .interference: "file system is being changed"
        case .unknownLabel, .branchName: "attach -- bad specifier"
        case .label(let fault, _): text(of: fault)
        case .retention: "syntax error"
        case .unknownUser: "user does not exist"
        case .unknownGroup: "group does not exist"
        case .qidsExhausted: "qids exhausted"
        case .messageToMissingKey: "message to missing key"
        case .changesDirectoryBit: "wstat -- attempt to change directory"
        case .negativeLength: "wstat -- attempt to make length negative"
        case .notOwner: "wstat -- not owner"
        case .notOwnerOrLeader: "wstat -- not owner or group leader"
        case .notInGroup: "wstat -- not in group"
        case .changesQidPath: "wstat -- attempt to change qid.path"
        case .changesQidVersion: "wstat -- attempt to change qid.vers"
        case .changesQidType: "wstat -- qid.type/dir.mode mismatch"
        case .changesMuid: "wstat -- attempt to change muid"
        case .badUsersFile(_, let fault): text(of: fault)
        case .fileTooBig: "file too big"
        case .unsupported: "not supported by this volume"
        case .tooManyLinks: "too many links"
        case .noAttribute: "no such attribute"
        case .attributeTooBig: "attribute too big"
        }
    }

    private static func text(of fault: LabelFault) -> StaticString {
        switch fault {
        case .exists: "snap -- already exists"
        case .unknown: "snap -- does not exist"
        case .reserved: "snap -- reserved name"
        case .inUse: "snap -- is currently mounted"
        case .badName: "snap -- bad name"
        case .immutable: "snap -- is no branch"
        case .notSet: "conf -- not set"
        case .badConfiguration: "conf -- bad key or value"
        }
    }

    private static func text(of fault: UsersFileFault) -> StaticString {
        switch fault {
        case .unknownLeader, .unknownMember, .missingUser: "user does not exist"
        case .nameTooLong: "name too long"
        case .empty, .missingNewline, .wrongFieldCount, .badIdentifier, .duplicateIdentifier,
            .duplicateName, .leaderIsNone:
            "syntax error"
        }
    }
}
