import NineP

/// A file's attributes as a server tells them.
public struct RemoteStatus: Hashable, Sendable {
    public var qid: WireQid
    public var mode: UInt32
    /// Seconds since 1970.
    public var accessTime: UInt32
    /// Seconds since 1970.
    public var modificationTime: UInt32
    /// Bytes; 0 for a directory.
    public var length: UInt64
    public var name: [UInt8]
    public var user: String
    public var group: String
    public var lastModifier: String

    init(_ stat: Stat) {
        qid = stat.qid
        mode = stat.mode
        accessTime = stat.accessTime
        modificationTime = stat.modificationTime
        length = stat.length
        name = Array(stat.name)
        user = String(decoding: stat.user, as: UTF8.self)
        group = String(decoding: stat.group, as: UTF8.self)
        lastModifier = String(decoding: stat.lastModifier, as: UTF8.self)
    }

    /// The name for people; bytes that are no UTF-8 are replaced.
    public var nameText: String { String(decoding: name, as: UTF8.self) }

    public var isDirectory: Bool { qid.type & WireQid.directoryType != 0 }
}

/// What a wstat changes; nil leaves a field alone, and nothing at all is a sync.
public struct RemoteChanges: Hashable, Sendable {
    public var name: [UInt8]?
    public var length: UInt64?
    public var mode: UInt32?
    /// Seconds since 1970.
    public var modificationTime: UInt32?
    public var user: [UInt8]?
    public var group: [UInt8]?

    public init(
        name: String? = nil, length: UInt64? = nil, mode: UInt32? = nil,
        modificationTime: UInt32? = nil, user: String? = nil, group: String? = nil
    ) {
        self.name = name.map { Array($0.utf8) }
        self.length = length
        self.mode = mode
        self.modificationTime = modificationTime
        self.user = user.map { Array($0.utf8) }
        self.group = group.map { Array($0.utf8) }
    }

    /// Encodes a Twstat.
    func encode(
        tag: Tag, fid: FidNumber, into buffer: UnsafeMutableRawBufferPointer
    ) throws(ProtocolError) -> Int {
        let (name, user, group) = (name ?? [], user ?? [], group ?? [])
        return try Client.lending(name, user) { (name, user) throws(ProtocolError) in
            try Client.lending(group, []) { (group, _) throws(ProtocolError) in
                var stat = Stat()
                stat.name = name
                stat.user = user
                stat.group = group
                if let length { stat.length = length }
                if let mode { stat.mode = mode }
                if let modificationTime { stat.modificationTime = modificationTime }
                return try Twstat.encode(tag: tag, fid: fid, stat: stat, into: buffer)
            }
        }
    }
}
