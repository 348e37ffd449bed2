/// Something that must never be so, and is.
public struct CrashFailure: Error, Hashable, Sendable {
    /// What kind of thing.
    public enum Kind: String, Hashable, Sendable {
        /// The volume does not open, or not for reading.
        case notOpened = "not-opened"
        /// A call that should have succeeded did not.
        case refused
        /// The tree is none of the states that it may be in.
        case wrongState = "wrong-state"
        /// What had been acknowledged as durable is not there.
        case lost
        /// The full check finds an error.
        case broken
        /// Blocks that nothing refers to, after a commit.
        case leaked
        /// The original would stumble over the disk.
        case original
        /// Copies differ though the volume was closed.
        case staleCopies = "stale-copies"
    }

    /// What kind of thing it is.
    public var kind: Kind
    /// When: `crashed`, `recovered`, `continued`.
    public var stage: String
    /// What precisely.
    public var detail: String

    /// What is alike in failures of one cause: the detail without its numbers.
    public var signature: String {
        let words = detail.split(separator: " ").filter { word in
            !word.contains(where: \.isNumber)
        }
        return ([kind.rawValue, stage] + words.prefix(8).map(String.init)).joined(separator: " ")
    }
}
