import GefsEngine

/// How full a volume is; everything in bytes.
public struct DiskSpaceReport: Report {
    public static var type: String { "space" }

    public struct Arena: Codable, Sendable {
        public var index: Int
        public var address: UInt64
        public var size: UInt64
        public var used: UInt64
        public var reserve: UInt64
    }

    public var size: UInt64
    public var used: UInt64
    public var reserve: UInt64
    /// What acknowledged changes that are not written yet will take at worst.
    public var promised: UInt64
    /// What a write can still get.
    public var available: UInt64
    public var arenas: [Arena]
    /// Why nothing can be written, where something failed.
    public var failure: String?

    init(_ space: SpaceReport, failure: String?) {
        self.failure = failure
        size = space.size
        used = space.used
        reserve = space.reserve
        promised = space.promisedBytes
        available = space.available
        arenas = space.arenas.enumerated().map { index, arena in
            Arena(
                index: index, address: arena.address, size: arena.size, used: arena.used,
                reserve: arena.reserve)
        }
    }
}

/// What a volume is.
public struct VolumeReport: Report {
    public static var type: String { "volume" }

    /// Path of the image, as the one who has it open knows it.
    public var image: String
    public var format: String
    /// `R` or `N`: which of the original's two trees the disk belongs to.
    public var dialect: String
    public var deviceSize: UInt64
    public var blockSize: UInt64
    public var size: UInt64
    public var used: UInt64
    public var available: UInt64
    public var arenas: Int
    public var labels: Int
    public var branches: Int
    public var users: Int
    public var nextQid: UInt64
    public var nextGeneration: UInt64
    /// The last commit's barrier; grows from commit to commit.
    public var commit: UInt64
    public var readOnly: Bool
    /// Why the volume refuses changes, where something failed.
    public var failure: String?
    /// The scrub that is under way, or the last one.
    public var scrub: ScrubReport?
    public var server: Server?

    /// Who serves the volume.
    public struct Server: Codable, Sendable {
        public var process: Int32
        public var version: String
        public var connections: Int
        public var listeners: [String]
        public var permissive: Bool
        /// Directories of the host.
        public var mounts: [String]
        /// Whether the process ends when nothing is mounted any more.
        public var endsWithMounts: Bool

        public init(
            process: Int32, version: String, connections: Int, listeners: [String],
            permissive: Bool, mounts: [String] = [], endsWithMounts: Bool = false
        ) {
            self.process = process
            self.version = version
            self.connections = connections
            self.listeners = listeners
            self.permissive = permissive
            self.mounts = mounts
            self.endsWithMounts = endsWithMounts
        }
    }
}

/// The server's permissive mode, before and after a command.
public struct PermissiveReport: Report {
    public static var type: String { "permissive" }
    public var before: Bool
    public var after: Bool
}
