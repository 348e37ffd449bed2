import GefsFormat

/// Bytes that have to go to one place on the device.
struct StoreWrite: Sendable {
    /// Where on the device, in bytes.
    let offset: UInt64
    /// The bytes are the first `byteCount` of it.
    let buffer: BlockBuffer
    /// A whole block, or one sector of it.
    let byteCount: Int

    init(at address: BlockAddress, _ buffer: BlockBuffer, byteCount: Int = Geometry.blockBytes) {
        offset = address.rawValue
        self.buffer = buffer
        self.byteCount = byteCount
    }

    var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: buffer.bytes[..<byteCount])
    }
}

extension BlockDevice {
    /// Does the writes one after the other.
    func write(_ writes: [StoreWrite]) throws(DeviceError) {
        for write in writes { try self.write(at: write.offset, from: write.bytes) }
    }
}

/// What the arenas contribute to a commit, grouped by when it has to be written.
///
/// Order (FORMAT 9.2): `blocks`, `links` and `headers` in phase A, in any order among themselves
/// and with everything else of that phase. If `linksAfterFlush` is not empty, `blocks` must be
/// flushed before those are written, and then comes the flush of phase A. `footers` in phase C.
struct ArenaCommit: Sendable {
    /// Fresh log blocks.
    var blocks: [StoreWrite] = []
    /// First sectors of log blocks: links to fresh blocks and entries appended in place.
    var links: [StoreWrite] = []
    /// Links that replay would follow before the commit is durable.
    var linksAfterFlush: [StoreWrite] = []
    /// Headers of the arenas whose log head moved.
    var headers: [StoreWrite] = []
    /// Their copies.
    var footers: [StoreWrite] = []
    /// The arena table for the superblock.
    var references: [Superblock.ArenaReference] = []

    var needsFlushBeforeLinks: Bool { !linksAfterFlush.isEmpty }
}
