import GefsFormat

/// What an operation on files can fail with.
///
/// A front end translates each case into its protocol's words in one table. The cases follow the
/// original's error texts (SEMANTICS 11); what they carry is for the log and for tools.
public enum FileError: Error, Hashable, Sendable {
    /// The operation needs the device or has to wait, and its caller may not; nothing happened.
    case wouldBlock

    /// A block did not hash to what its pointer says, or its structure is broken.
    case corrupt(CorruptBlock)
    /// A record is not what its key promises; `block` is the root of the tree that holds it.
    case badRecord(RecordError, root: BlockAddress)
    /// A tree without the entry of its root directory.
    case missingRoot(root: BlockAddress)
    /// Arenas or their logs cannot be used.
    case store(StoreError)
    /// The device failed; once a write or flush has failed the volume refuses changes.
    case device(DeviceError)

    case notFound
    case exists
    case notADirectory
    case isADirectory
    case directoryNotEmpty
    /// A directory would lie below itself.
    case insideItself
    /// A file cannot go to another branch without being copied.
    case otherBranch
    case permissionDenied
    case badName
    case nameTooLong
    case unknownModeBits
    case authOrMountBits
    case badOpenMode
    case alreadyOpen
    case notOpen
    case locked
    case removed
    case readOnly
    case volumeFull
    case offsetOutOfRange
    case badDirectoryOffset
    case recordDoesNotFit

    case unknownLabel
    /// Others changed the same files again and again, so that a change of many at once was given up.
    case interference
    /// Two branches that have no snapshot in common cannot be merged.
    case noCommonAncestor
    /// A label that is refused, by name.
    case label(LabelFault, [UInt8])
    /// A name for a state of a branch that it does not have; with the branch's own name.
    case branchName(BranchNameFault, [UInt8])
    /// A retention schedule that is none.
    case retention(RetentionFault)
    case unknownUser
    case unknownGroup
    case qidsExhausted
    case messageToMissingKey

    case changesDirectoryBit
    case negativeLength
    case notOwner
    case notOwnerOrLeader
    case notInGroup
    case changesQidPath
    case changesQidVersion
    case changesQidType
    case changesMuid

    /// The users file is not acceptable; the line counts from 1.
    case badUsersFile(line: Int, UsersFileFault)
    case fileTooBig
    /// What the disk has no place for.
    case unsupported
    case tooManyLinks
    case noAttribute
    /// An extended attribute, or all of a file together.
    case attributeTooBig

    /// The system has no thread left for the volume to write with.
    case outOfThreads
    /// The volume has been closed.
    case closed

    /// What is to be said of the error in a log: what failed and where, in words.
    var reason: String {
        switch self {
        case .device(let error): "\(error)"
        case .corrupt(let block): "\(block)"
        case .store(let error): "\(error)"
        default: "\(self)"
        }
    }
}

/// Why a users file is refused. Source: SEMANTICS 7, 12.46.
public enum UsersFileFault: Hashable, Sendable {
    case empty
    case missingNewline
    case wrongFieldCount(Int)
    case badIdentifier
    case nameTooLong
    case duplicateIdentifier
    case duplicateName
    case unknownLeader
    case unknownMember
    case leaderIsNone
    case missingUser(String)
}
