import GefsEngine
import Glibc

/// A file that is in no tree: a mount's hidden directory `.gefs` and what is in it, and the directory
/// of all labels that a mount of all of them begins with.
enum VirtualNode: UInt64, Sendable {
    /// `.gefs`.
    case control = 1
    /// `.gefs/snapshots`: every state that has a name, as a directory.
    case snapshots
    /// `.gefs/at`: any moment that somebody names is a directory: `-15m`, `yesterday`.
    case moments
    /// `.gefs/ctl`: commands are written to it, and what came of them is read from it.
    case command
    /// All labels, where that is what is mounted.
    case labels

    static let controlName = Array(".gefs".utf8)

    private static let members: [(name: [UInt8], node: VirtualNode)] = [
        (Array("at".utf8), .moments), (Array("ctl".utf8), .command),
        (Array("snapshots".utf8), .snapshots),
    ]

    var isDirectory: Bool { self != .command }

    /// What of this kind is in it; labels and moments are not.
    func member(_ name: [UInt8]) -> VirtualNode? {
        self == .control ? Self.members.first { $0.name == name }?.node : nil
    }

    /// The names that a listing shows.
    func names(_ fileSystem: FileSystem) throws(FileError) -> [[UInt8]] {
        switch self {
        case .control: Self.members.map(\.name)
        case .snapshots: try fileSystem.labels().filter { !$0.isMutable }.map(\.name)
        case .labels: try fileSystem.labels().map(\.name)
        case .moments, .command: []
        }
    }

    /// What a listing says of the kind of a name in it.
    func isDirectory(_ name: [UInt8]) -> Bool { member(name)?.isDirectory ?? true }

    /// The state that a name in it stands for; nil where it stands for none.
    ///
    /// - Parameter branch: the branch that is mounted.
    func state(_ name: [UInt8], of branch: [UInt8]) -> [UInt8]? {
        switch self {
        case .snapshots, .labels: name
        // What is mounted may be a moment itself.
        case .moments: branch.prefix { $0 != UInt8(ascii: "@") } + [UInt8(ascii: "@")] + name
        case .control, .command: nil
        }
    }

    /// What `stat(2)` gives for it.
    ///
    /// - Parameter byteCount: its length.
    func attributes(byteCount: Int = 0) -> stat {
        var result = stat()
        result.st_size = off_t(byteCount)
        result.st_ino = ino_t(UInt64.max - 1 - rawValue)
        result.st_mode = isDirectory ? S_IFDIR | 0o555 : S_IFREG | 0o600
        result.st_nlink = isDirectory ? 2 : 1
        result.st_uid = geteuid()
        result.st_gid = getegid()
        return result
    }
}
