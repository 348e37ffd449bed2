import GefsFormat

/// How far a rescue is.
public struct RescueProgress: Sendable {
    /// What is being done.
    public enum Phase: Sendable {
        /// All of the device is read; the numbers are its bytes.
        case scanning
        /// The nodes that were found are compared with each other; nothing is counted.
        case linking
        /// Files are copied; the numbers are bytes of files, and the total is not known.
        case copying
    }

    public var phase: Phase
    public var bytesDone: UInt64
    public var bytesTotal: UInt64?
}

/// What the scan of a device has found.
public struct RescueScanReport: Sendable {
    /// Length of the device.
    public var deviceBytes: UInt64 = 0
    /// Bytes that were read; holes of a sparse file were not.
    public var bytesRead: UInt64 = 0
    /// Parts of the device that could not be read, in bytes.
    public var unreadable: [Range<UInt64>] = []
    /// The byte of the device where the volume begins; below zero where its front is gone.
    public var offset: Int64 = 0
    /// Superblocks whose hash is right.
    public var superblocks = 0
    /// Blocks with the form of a tree node.
    public var nodes = 0
    /// Those of them that others vouch for, or that vouch for others.
    public var believedNodes = 0
    /// Leaves that nothing vouches for; used only when asked for.
    public var unverifiedLeaves = 0
}

/// A tree that can be copied out.
public struct RescuableTree: Sendable {
    /// How the tree came by its name.
    public enum Origin: String, Sendable {
        /// The label is in the snapshot tree that a superblock names.
        case superblock
        /// The label is in a snapshot tree, or a part of one, that was found without a superblock.
        case snapshotTree
        /// The tree has no label; the name was made up.
        case scan
    }

    public var name: [UInt8]
    /// The snapshot; nil for a tree without a label.
    public var generation: UInt64?
    /// Whether the label follows writes; snapshots do not.
    public var isMutable: Bool
    public var origin: Origin
    /// Whether the root of the tree is there. If not, what is left comes from older states.
    public var hasRoot: Bool
    /// How many older states and parts are at hand for what is missing.
    public var olderLayers: Int
}

/// A file or directory that was copied out, or could not be.
public struct RescuedFile: Sendable {
    /// How much of it there is.
    public enum State: String, Sendable {
        /// Every byte, each verified.
        case whole
        /// Some ranges are missing; they are holes.
        case partial
        /// It could not be written; see `problem`.
        case failed
    }

    /// Where it comes from.
    public enum Origin: String, Sendable {
        /// The tree itself; all nodes on the way to it are there.
        case tree
        /// An older state, or a part of one, since nodes of the tree are missing. It may have been
        /// changed, renamed or removed since.
        case older
        /// A leaf that nothing vouches for.
        case unverified
        /// Data or a directory without an entry: its name, and more, is not known.
        case nameless
    }

    /// The names from the top of the copy down to it, as they were written.
    public var path: [[UInt8]]
    /// Its own name on the volume, where it had to get another one.
    public var originalName: [UInt8]?
    public var qid: UInt64
    public var isDirectory: Bool
    public var state: State
    public var origin: Origin
    public var length: UInt64
    public var mode: UInt32
    /// Nanoseconds since 1970.
    public var modified: Int64
    public var uid: Int32
    public var gid: Int32
    public var muid: Int32
    /// What is missing, as ranges of bytes, at most `missingRangesMax` of them.
    public var missing: [Range<UInt64>] = []
    public var missingBytes: UInt64 = 0
    /// Why it could not be written.
    public var problem: String?

    /// How many ranges of a file are listed.
    public static var missingRangesMax: Int { 256 }
}

/// What was copied out of one tree.
public struct RescuedTreeReport: Sendable {
    public var name: [UInt8] = []
    public var files = 0
    public var directories = 0
    /// Files with every byte, each verified, from the tree itself.
    public var wholeFiles = 0
    public var partialFiles = 0
    public var failedFiles = 0
    /// Files, whole or not, that come from older states.
    public var olderFiles = 0
    /// Files from leaves that nothing vouches for.
    public var unverifiedFiles = 0
    /// Files and directories below `lost+found`, whose directory is not known.
    public var lostFiles = 0
    /// Files and directories that got another name.
    public var renamedFiles = 0
    /// Older names of files that were found under a newer one, and left out.
    public var olderNames = 0
    /// Bytes of file data that were verified and written.
    public var bytes: UInt64 = 0
    /// Bytes of files that are missing.
    public var missingBytes: UInt64 = 0
    /// Ranges of names about which nothing is known: files may have been there.
    public var unknownNameRanges = 0

    /// Whether nothing is missing, as far as can be known.
    public var isWhole: Bool {
        unknownNameRanges == 0 && partialFiles == 0 && failedFiles == 0 && olderFiles == 0
            && unverifiedFiles == 0 && lostFiles == 0
    }
}
