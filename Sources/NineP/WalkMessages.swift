/// The elements of a walk, checked, as they lie in the message: `nwname[2] nwname*(wname[s])`.
public struct WalkNames: Sequence {
    public let count: Int
    private let bytes: UnsafeRawBufferPointer

    /// Takes the count and the names; at most 16.
    public init(decoding reader: inout WireReader) throws(ProtocolError) {
        count = Int(try reader.integer(UInt16.self))
        guard count <= WireLimits.walkNamesMax else { throw .tooManyNames(count: count) }
        let start = reader
        for _ in 0..<count { _ = try reader.string() }
        var names = start
        bytes = try names.bytes(start.remainingBytes - reader.remainingBytes)
    }

    /// Gives the names in order.
    public struct Iterator: IteratorProtocol {
        var reader: WireReader

        public mutating func next() -> UnsafeRawBufferPointer? {
            // Every name was there when the message was decoded: the only error is the end.
            guard reader.remainingBytes > 0 else { return nil }
            return try? reader.string()
        }
    }

    public func makeIterator() -> Iterator {
        Iterator(reader: WireReader(bytes))
    }

    func encode(into writer: inout WireWriter) {
        writer.integer(UInt16(truncatingIfNeeded: count))
        writer.bytes(bytes)
    }
}

/// `size[4] Twalk tag[2] fid[4] newfid[4] nwname[2] nwname*(wname[s])`
public struct Twalk: Message {
    public static let type = MessageType.tWalk

    public var fid: FidNumber
    public var newFid: FidNumber
    public var names: WalkNames

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        fid = try reader.fid()
        newFid = try reader.fid()
        names = try WalkNames(decoding: &reader)
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(fid.rawValue)
        writer.integer(newFid.rawValue)
        names.encode(into: &writer)
    }

    /// Encodes a walk along names that lie in arrays.
    ///
    /// - Throws: `ProtocolError.doesNotFit` and `.tooManyNames`.
    public static func encode(
        tag: Tag, fid: FidNumber, newFid: FidNumber, names: some Collection<[UInt8]>,
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(ProtocolError) -> Int {
        guard names.count <= WireLimits.walkNamesMax else {
            throw .tooManyNames(count: names.count)
        }
        var writer = WireWriter(buffer)
        writer.beginMessage(type, tag: tag)
        writer.integer(fid.rawValue)
        writer.integer(newFid.rawValue)
        writer.integer(UInt16(truncatingIfNeeded: names.count))
        for name in names { writer.string(name) }
        return try writer.endMessage()
    }
}

/// `size[4] Rwalk tag[2] nwqid[2] nwqid*(wqid[13])`
///
/// Fewer qids than names: the walk got that far, and newfid does not exist.
public struct Rwalk: Message {
    public static let type = MessageType.rWalk

    public private(set) var count = 0
    private var qids = InlineArray<16, WireQid>(repeating: WireQid(type: 0, version: 0, path: 0))

    public init() {}

    public subscript(index: Int) -> WireQid {
        precondition(index < count)
        return qids[index]
    }

    /// The qid of where the walk ended, nil for one that went nowhere.
    public var last: WireQid? { count > 0 ? qids[count - 1] : nil }

    /// Adds the qid of the next element; at most 16.
    public mutating func append(_ qid: WireQid) {
        precondition(count < WireLimits.walkNamesMax)
        qids[count] = qid
        count += 1
    }

    public init(decodingBody reader: inout WireReader) throws(ProtocolError) {
        let count = Int(try reader.integer(UInt16.self))
        guard count <= WireLimits.walkNamesMax else { throw .tooManyNames(count: count) }
        for _ in 0..<count { append(try reader.qid()) }
    }

    public func encodeBody(into writer: inout WireWriter) {
        writer.integer(UInt16(truncatingIfNeeded: count))
        for index in 0..<count { writer.qid(qids[index]) }
    }
}
