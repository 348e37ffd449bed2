/// The fixed sizes and limits of the format, in bytes unless the name says otherwise.
///
/// Source: FORMAT 1.
public enum Geometry {
    /// B: the size of every structure, and what every address is a multiple of.
    @inlinable public static var blockBytes: Int { 16384 }
    /// The sector that a disk is trusted to write as a whole (FORMAT 9.5).
    @inlinable public static var sectorBytes: Int { 512 }

    /// Header of a pivot: kind, two counts and two sizes.
    @inlinable public static var pivotHeaderBytes: Int { 10 }
    /// Header of a leaf: kind, count and size.
    @inlinable public static var leafHeaderBytes: Int { 6 }
    /// Header of an allocation log or deadlist block.
    @inlinable public static var logHeaderBytes: Int { 36 }

    /// Message buffer of a pivot, table included.
    @inlinable public static var pivotBufferBytes: Int { (blockBytes - pivotHeaderBytes) / 2 }
    /// Keys and child pointers of a pivot, table included.
    @inlinable public static var pivotSpaceBytes: Int {
        blockBytes - pivotHeaderBytes - pivotBufferBytes
    }
    /// Records of a leaf, table included.
    @inlinable public static var leafSpaceBytes: Int { blockBytes - leafHeaderBytes }
    /// Entries of a log or deadlist block.
    @inlinable public static var logSpaceBytes: Int { blockBytes - logHeaderBytes }
    /// Tail room that a log or deadlist block keeps free.
    @inlinable public static var logSlopBytes: Int { 40 }

    /// Table entry of one record in a node.
    @inlinable public static var tableEntryBytes: Int { 2 }
    /// What a leaf record or pivot entry takes beside key and value: their two lengths.
    @inlinable public static var recordOverheadBytes: Int { 4 }
    /// What a message takes beside key and payload: its kind and the two lengths.
    @inlinable public static var messageOverheadBytes: Int { 5 }
    /// Value of a pivot entry: the child's pointer and its fill.
    @inlinable public static var pivotValueBytes: Int { BlockPointer.byteCount + 2 }

    /// KEYMAX: the longest key of a volume that the original can read.
    @inlinable public static var keyBytesMax: Int { 256 }
    /// The longest key of a volume with the feature `posix`: what any node may hold.
    @inlinable public static var posixKeyBytesMax: Int { 272 }
    /// INLMAX: the longest value or message payload.
    @inlinable public static var valueBytesMax: Int { 512 }
    /// The longest file name whose key is not over `keyBytesMax`.
    @inlinable public static var nameBytesMax: Int { 244 }
    /// The longest file name with the feature `posix`.
    @inlinable public static var posixNameBytesMax: Int { 255 }
    /// The longest label whose key is not over `keyBytesMax`.
    @inlinable public static var labelBytesMax: Int { 255 }

    /// How many arenas a superblock can name.
    @inlinable public static var arenaCountMax: Int { 255 }
    /// The blocks at the end of every arena that are never handed out (FORMAT 4).
    @inlinable public static var arenaSlopBlocks: Int { 2 }
    /// More levels than any tree of a 64-bit device can have.
    @inlinable public static var treeHeightMax: Int { 64 }

    /// The bytes of an arena that ordinary allocations leave alone.
    ///
    /// - Parameter arenaBytes: S, the arena's size.
    /// - Returns: a 1024th of the size, but at least 512 KiB and at most 8 MiB.
    public static func reserveBytes(arenaBytes: UInt64) -> UInt64 {
        min(max(arenaBytes / 1024, 512 << 10), 8 << 20)
    }
}
