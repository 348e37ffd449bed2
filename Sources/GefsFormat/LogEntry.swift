/// One entry of an arena's allocation log.
///
/// Source: FORMAT 5.1.
public enum LogEntry: Hashable, Sendable {
    /// The range is in use from here on.
    case allocate(BlockAddress, byteCount: UInt64)
    /// The range is free from here on.
    case free(BlockAddress, byteCount: UInt64)
    /// The barrier of a commit. Its number has 56 bits.
    case sync(UInt64)

    /// The low 8 bits of an entry's first word.
    enum Operation: UInt8 {
        case allocateBlock = 1
        case freeBlock = 2
        case sync = 3
        case allocateRange = 4
        case freeRange = 5

        static let bits: UInt64 = 8
        static let mask: UInt64 = 0xff
    }

    /// Size of the operand with its operation, and of the length behind it.
    public static let wordBytes = 8

    /// The size when encoded: two words, or one when that says it all.
    public var byteCount: Int {
        switch self {
        case .allocate(_, let byteCount), .free(_, let byteCount):
            byteCount == UInt64(Geometry.blockBytes) ? Self.wordBytes : 2 * Self.wordBytes
        case .sync: Self.wordBytes
        }
    }

    /// Writes the entry.
    ///
    /// - Parameter withLength: state the length even of a single block, as a fresh disk does.
    /// - Returns: the bytes written, one or two words.
    func encode(into bytes: UnsafeMutableRawPointer, withLength: Bool) -> Int {
        let block: Operation
        let range: Operation
        let start: BlockAddress
        let length: UInt64
        switch self {
        case .sync(let number):
            assert(number >> (64 - Operation.bits) == 0)
            bytes.storeBigEndian(
                number << Operation.bits | UInt64(Operation.sync.rawValue), at: 0)
            return Self.wordBytes
        case .allocate(let address, let byteCount):
            (block, range, start, length) = (.allocateBlock, .allocateRange, address, byteCount)
        case .free(let address, let byteCount):
            (block, range, start, length) = (.freeBlock, .freeRange, address, byteCount)
        }
        assert(start.isAligned && length > 0 && length % UInt64(Geometry.blockBytes) == 0)
        if length == UInt64(Geometry.blockBytes), !withLength {
            bytes.storeBigEndian(start.rawValue | UInt64(block.rawValue), at: 0)
            return Self.wordBytes
        }
        bytes.storeBigEndian(start.rawValue | UInt64(range.rawValue), at: 0)
        bytes.storeBigEndian(length, at: Self.wordBytes)
        return 2 * Self.wordBytes
    }

    /// Reads the entry at `offset` of the entries of a log block.
    ///
    /// - Returns: the entry and the offset behind it.
    /// - Throws: what is wrong with it.
    static func decode(
        _ entries: UnsafeRawBufferPointer, at offset: Int
    ) throws(CorruptBlock.Reason) -> (LogEntry, Int) {
        guard let base = entries.baseAddress, offset + wordBytes <= entries.count else {
            throw .logTruncated(offset: offset)
        }
        let word = base.loadBigEndian(at: offset, as: UInt64.self)
        let rawOperation = UInt8(truncatingIfNeeded: word)
        guard let operation = Operation(rawValue: rawOperation) else {
            throw .logOperation(offset: offset, rawOperation)
        }
        if operation == .sync {
            return (.sync(word >> Operation.bits), offset + wordBytes)
        }
        var end = offset + wordBytes
        var length = UInt64(Geometry.blockBytes)
        if operation == .allocateRange || operation == .freeRange {
            guard end + wordBytes <= entries.count else { throw .logTruncated(offset: offset) }
            length = base.loadBigEndian(at: end, as: UInt64.self)
            end += wordBytes
        }
        let start = BlockAddress(rawValue: word & ~Operation.mask)
        let (_, overflows) = start.rawValue.addingReportingOverflow(length)
        guard start.isAligned, length > 0, length % UInt64(Geometry.blockBytes) == 0, !overflows
        else { throw .logRange(offset: offset, start: start.rawValue, byteCount: length) }
        let isFree = operation == .freeBlock || operation == .freeRange
        return (
            isFree ? .free(start, byteCount: length) : .allocate(start, byteCount: length), end
        )
    }
}
