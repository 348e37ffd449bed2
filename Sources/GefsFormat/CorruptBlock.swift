/// A block whose bytes cannot be what its place says: which block, and what is wrong with it.
public struct CorruptBlock: Error, Hashable, Sendable {
    /// What the block was read as.
    public enum Structure: Hashable, Sendable {
        /// A block of this kind.
        case block(BlockKind)
        /// A pivot or a leaf.
        case node
    }

    /// Where the block lies.
    public var address: BlockAddress
    /// What it was read as.
    public var structure: Structure
    /// What is wrong.
    public var reason: Reason

    /// An error made of its parts.
    public init(_ address: BlockAddress, _ structure: Structure, _ reason: Reason) {
        self.address = address
        self.structure = structure
        self.reason = reason
    }

    /// An error about a block of a known kind.
    public init(_ address: BlockAddress, _ kind: BlockKind, _ reason: Reason) {
        self.init(address, .block(kind), reason)
    }

    /// What can be wrong with a block. Each is thrown in one place, or in one per structure.
    public enum Reason: Error, Hashable, Sendable {
        /// The memory given is no whole block.
        case blockSize(found: Int)
        /// The first two bytes are not those of the expected kind.
        case kind(found: UInt16, expected: BlockKind)
        /// The first two bytes are neither those of a pivot nor of a leaf.
        case notNode(kind: UInt16)
        /// The bytes do not have the hash that vouches for them.
        case hash(found: UInt64, expected: UInt64)
        /// The address cannot be that of a block.
        case address(BlockAddress)

        /// A node without records.
        case emptyNode
        /// Table and records are larger than their area.
        case areaOverflow(count: Int, byteCount: Int, areaBytes: Int)
        /// The records do not add up to the size in the header.
        case recordBytes(found: Int, expected: Int)
        /// The records overlap, or leave gaps.
        case recordOverlap
        /// A record starts outside the heap, or reaches past its end.
        case recordOutside(index: Int, offset: Int, heapStart: Int, areaBytes: Int)
        /// A value or payload longer than `Geometry.valueBytesMax`.
        case valueTooLong(index: Int, byteCount: Int)
        /// A key that is none.
        case key(index: Int, KeyError)
        /// A key that does not sort behind the one before.
        case keyOrder(index: Int)
        /// A key outside the range that the pivots above give the node.
        case keyRange(index: Int)
        /// A value that does not have the size its key demands.
        case valueSize(index: Int, KeyKind, found: Int, expected: Int)
        /// A way up whose value is no entry key.
        case upTarget(index: Int)
        /// A pivot entry whose value is not pointer and fill.
        case pivotValueSize(index: Int, found: Int)
        /// A pivot entry that points to no block.
        case childAddress(index: Int, BlockAddress)
        /// A pivot entry that states an impossible fill.
        case childFill(index: Int, fill: Int)
        /// A message that sorts before the one in front of it.
        case messageOrder(index: Int)
        /// A message of a kind that there is not.
        case messageKind(index: Int, UInt8)
        /// A message for a key that it cannot apply to.
        case messageKey(index: Int, MessageKind, KeyKind)
        /// A message whose payload does not have the size its kind demands.
        case payloadSize(index: Int, MessageKind, found: Int, expected: Int)

        /// The used bytes of a log or deadlist block are too many, or no whole words.
        case entryBytes(Int)
        /// A block that was written for another place.
        case misplaced(BlockAddress)
        /// A link that was another one when the block was written.
        case link(found: BlockAddress, expected: BlockAddress)
        /// An unknown operation in an allocation log.
        case logOperation(offset: Int, UInt8)
        /// A log entry whose second word is missing.
        case logTruncated(offset: Int)
        /// A log entry for a range that no arena can have.
        case logRange(offset: Int, start: UInt64, byteCount: UInt64)
        /// An entry of a deadlist that is no address.
        case deadAddress(index: Int, BlockAddress)

        /// Not the magic of a gefs superblock.
        case magic(UInt64)
        /// Made for blocks of another size.
        case superblockBlockBytes(UInt32)
        /// Made for message buffers of another size.
        case superblockBufferBytes(UInt32)
        /// No arenas, or more than a superblock can name.
        case arenaCount(UInt32)
        /// Features that this implementation does not know.
        case featureFlags(UInt64)
        /// An impossible height of the snapshot tree.
        case treeHeight(UInt32)
        /// A tree root that is no address.
        case rootAddress(BlockAddress)
        /// A log barrier that leaves no room for further commits.
        case commitGeneration(UInt64)
        /// A next generation that leaves no room for further ones.
        case nextGeneration(UInt64)
        /// A list of pending frees whose ends are no addresses, or of which one is missing.
        case pendingList(head: BlockAddress, tail: BlockAddress)
        /// An arena that cannot lie there, or not behind the one before.
        case arenaAddress(index: Int, BlockAddress)
        /// An arena of a size that is no multiple of the block size, or too small.
        case arenaBytes(UInt64)
        /// An arena whose log starts nowhere.
        case logHead(BlockAddress)
    }
}

extension CorruptBlock: CustomStringConvertible {
    /// What, where, found and expected: `corrupt pivot: block 0x7f4000: kind 2, expected 1`.
    public var description: String {
        let name =
            switch structure {
            case .block(let kind): kind.description
            case .node: "tree node"
            }
        return "corrupt \(name): block \(address): \(reason)"
    }
}
