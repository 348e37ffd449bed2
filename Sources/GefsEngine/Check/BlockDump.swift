import GefsFormat

/// Any block of a device, taken apart for people and for programs.
///
/// Made for damaged disks: what cannot be made out is described, never trusted. As data it is
/// `Encodable`; as text it has one line for each entry.
public enum BlockDump: Hashable, Sendable {
    /// A superblock.
    case superblock(SuperblockDump)
    /// The header or footer of an arena.
    case arena(ArenaHeaderDump)
    /// A block of an allocation log or deadlist.
    case chain(ChainDump)
    /// A pivot or a leaf.
    case node(NodeDump)
    /// File data, or anything else.
    case data(DataDump)
    /// A block that says what it is, but is not.
    case corrupt(CorruptDump)

    /// Reads a block and takes it apart.
    ///
    /// - Parameters:
    ///   - address: where it lies.
    ///   - device: what it is read from. Blocks until it is.
    ///   - kind: what to take it for; `nil` goes by its first two bytes.
    public init(
        _ address: BlockAddress, on device: any BlockDevice, as kind: BlockKind? = nil
    ) throws(DeviceError) {
        let reader = SingleBlockReader(device)
        self.init(try reader.read(address), at: address, as: kind)
    }

    /// Takes a block apart.
    ///
    /// - Parameters:
    ///   - block: a whole block.
    ///   - address: where it lies.
    ///   - kind: what to take it for; `nil` goes by its first two bytes.
    public init(
        _ block: UnsafeRawBufferPointer, at address: BlockAddress, as kind: BlockKind? = nil
    ) {
        let hash = MetroHash64.hash(block)
        guard let base = block.baseAddress, block.count == Geometry.blockBytes else {
            let corrupt = CorruptBlock(
                address, kind ?? .data, .blockSize(found: block.count))
            self = .corrupt(CorruptDump(address: address, hash: hash, error: corrupt))
            return
        }
        let stored = base.loadBigEndian(at: 0, as: UInt16.self)
        do throws(CorruptBlock) {
            switch kind ?? BlockKind(rawValue: stored) ?? .data {
            case .data:
                self = .data(DataDump(block, at: address, hash: hash))
            case .superblock:
                let superblock = try Superblock(decoding: block, at: address)
                self = .superblock(SuperblockDump(superblock, at: address))
            case .arena:
                let header = try ArenaHeader(decoding: block, at: address)
                self = .arena(ArenaHeaderDump(header, at: address, hash: hash))
            case .allocationLog:
                self = .chain(try ChainDump(block, at: address, .allocationLog))
            case .deadlist:
                self = .chain(try ChainDump(block, at: address, .deadlist))
            case .pivot, .leaf:
                do throws(CorruptBlock.Reason) {
                    self = .node(try NodeDump(NodeScan(base), at: address, hash: hash))
                } catch {
                    throw CorruptBlock(address, .node, error)
                }
            }
        } catch {
            self = .corrupt(CorruptDump(address: address, hash: hash, error: error))
        }
    }
}

extension BlockDump: CustomStringConvertible {
    /// All that is in the block, line by line.
    public var description: String {
        switch self {
        case .superblock(let dump): dump.description
        case .arena(let dump): dump.description
        case .chain(let dump): dump.description
        case .node(let dump): dump.description
        case .data(let dump): dump.description
        case .corrupt(let dump): dump.description
        }
    }
}

extension BlockDump: Encodable {
    /// Encodes what the block is, without a level in between: each has `type` and `address`.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .superblock(let dump): try dump.encode(to: encoder)
        case .arena(let dump): try dump.encode(to: encoder)
        case .chain(let dump): try dump.encode(to: encoder)
        case .node(let dump): try dump.encode(to: encoder)
        case .data(let dump): try dump.encode(to: encoder)
        case .corrupt(let dump): try dump.encode(to: encoder)
        }
    }
}

/// A block that is not what it says.
public struct CorruptDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// `corrupt`.
    public var type = "corrupt"
    /// Where it lies, in hexadecimal as all addresses and hashes are.
    public var address: String
    /// The hash of the whole block.
    public var hash: String
    /// What is wrong.
    public var error: String

    init(address: BlockAddress, hash: UInt64, error: CorruptBlock) {
        self.address = address.description
        self.hash = hexadecimal(hash)
        self.error = error.description
    }

    /// Address, hash and error.
    public var description: String { "block \(address): hash \(hash)\n  \(error)" }
}

/// The bytes of a block.
public struct DataDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// `data`.
    public var type = "data"
    /// Where the block lies.
    public var address: String
    /// The hash of the whole block.
    public var hash: String
    /// 32 bytes a line; runs of equal lines are given once.
    public var lines: [Line]

    /// Some bytes.
    public struct Line: Hashable, Sendable, Encodable {
        /// The first byte's place in the block.
        public var offset: Int
        /// The bytes, two digits each.
        public var bytes: String
        /// How many lines in a row are the same.
        public var count: Int
    }

    private static let lineBytes = 32

    init(_ block: UnsafeRawBufferPointer, at address: BlockAddress, hash: UInt64) {
        self.address = address.description
        self.hash = hexadecimal(hash)
        lines = []
        for offset in stride(from: 0, to: block.count, by: Self.lineBytes) {
            let part = block[offset..<min(block.count, offset + Self.lineBytes)]
            let bytes = part.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            if let last = lines.indices.last, lines[last].bytes == bytes {
                lines[last].count += 1
            } else {
                lines.append(Line(offset: offset, bytes: bytes, count: 1))
            }
        }
    }

    /// Offsets and bytes.
    public var description: String {
        let text = lines.map { line in
            let offset = String(line.offset, radix: 16)
            let padding = String(repeating: "0", count: max(0, 4 - offset.count))
            return "  \(padding)\(offset)  \(line.bytes)"
                + (line.count > 1 ? "  (\(line.count) times)" : "")
        }
        return (["block \(address): data, hash \(hash)"] + text).joined(separator: "\n")
    }
}
