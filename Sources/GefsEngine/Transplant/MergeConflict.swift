/// Whose change is taken where two branches have changed the same thing.
public enum MergePreference: String, Sendable, Hashable {
    /// What the branch has that is merged into.
    case ours
    /// What the fork has.
    case theirs
}

/// What two branches have changed in ways that do not go together.
public struct MergeConflict: Sendable, Hashable {
    public enum Kind: String, Sendable, Hashable {
        /// Both changed the contents of a file.
        case contents
        /// Both changed the same one of permissions, owner and group.
        case attributes
        /// Both renamed a file, to different names.
        case renamed
        /// The branch changed what the fork removed.
        case removedByFork
        /// The fork changed what the branch removed.
        case removedByBranch
        /// The fork's file would get a name that another file of the branch has.
        case nameTaken
        /// One of them has something in a directory that the other one removed.
        case directoryRemoved
        /// Directories were moved into one another.
        case cycle
    }

    public var kind: Kind
    public var qid: UInt64
    public var isDirectory: Bool
    /// Names from the root, in the fork or, where it is not there, in the branch.
    public var path: [[UInt8]]
    /// The other file or name where there is one: names from the root, in the branch.
    public var otherPath: [[UInt8]]?
}

/// What a merge has done, or would do.
public struct MergeReport: Sendable {
    /// Generation of the snapshot that both have in common.
    public var ancestor: UInt64
    /// Where there are any, nothing was changed.
    public var conflicts: [MergeConflict]
    public var changes: TransplantReport
}
