import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where a write goes, in blocks.
private struct WriteWindow {
    let offset: UInt64
    let bytes: UnsafeRawBufferPointer
    let end: UInt64

    var firstBlock: UInt64 { offset / UInt64(Geometry.blockBytes) }
    var lastBlock: UInt64 { (end - 1) / UInt64(Geometry.blockBytes) }

    /// Whether bytes of block `index` outside the write survive it, in a file of `length` bytes.
    func keepsOldBytes(of index: UInt64, length: UInt64) -> Bool {
        let start = index * UInt64(Geometry.blockBytes)
        if start >= length { return false }
        if offset > start { return true }
        return end < min(start + UInt64(Geometry.blockBytes), length)
    }

    /// Copies the write's share of block `index`.
    func copy(into buffer: BlockBuffer, _ index: UInt64) {
        let start = index * UInt64(Geometry.blockBytes)
        let low = max(start, offset)
        let high = min(start + UInt64(Geometry.blockBytes), end)
        guard let base = bytes.baseAddress, low < high else { return }
        memcpy(buffer.base + Int(low - start), base + Int(low - offset), Int(high - low))
    }
}

/// Blocks that a write found below the active layer, and must keep bytes of.
private struct WriteBases {
    var first: BlockBuffer?
    var last: BlockBuffer?
}

extension Branch {
    /// Writes all of `bytes`, or nothing.
    ///
    /// The file's tail is clean where the write makes it grow: see `cleanTail`.
    /// - Returns: the number of bytes.
    func write(
        _ node: FileNode, at asked: UInt64, from bytes: UnsafeRawBufferPointer,
        appends: Bool = false, clearsSetIDs: Bool = false, as caller: Caller
    ) throws(FileError) -> Int {
        guard bytes.count > 0 else { return 0 }
        while true {
            lock.lock()

            let length = UInt64(bitPattern: node.entry.length)
            let offset = appends || node.entry.isAppendOnly ? length : asked
            let (end, overflow) = offset.addingReportingOverflow(UInt64(bytes.count))
            if overflow || end > UInt64(Int64.max) {
                lock.unlock()
                throw .offsetOutOfRange
            }
            if end > length, !node.hasCleanTail {
                lock.unlock()
                try cleanTail(node, as: caller)
                continue
            }
            let window = WriteWindow(offset: offset, bytes: bytes, end: end)
            if !needsBase(node, window, window.firstBlock, length),
                !needsBase(node, window, window.lastBlock, length)
            {
                defer { lock.unlock() }
                try apply(window, to: node, WriteBases(), clearsSetIDs, as: caller)
                return bytes.count
            }
            let view = below
            lock.unlock()
            let bases = try readBases(node.qidPath, window, view, mayBlock: caller.mayBlock)
            lock.lock()
            defer { lock.unlock() }
            // The end may have moved meanwhile, too: what was decided by it is decided again.
            guard freezeCount == view.freezeCount,
                UInt64(bitPattern: node.entry.length) == length
            else { continue }
            try apply(window, to: node, bases, clearsSetIDs, as: caller)
            return bytes.count
        }
    }

    /// Whether the write has to keep bytes of a block that is not in the active layer.
    private func needsBase(
        _ node: FileNode, _ window: WriteWindow, _ index: UInt64, _ length: UInt64
    ) -> Bool {
        window.keepsOldBytes(of: index, length: length)
            && node.createdAtFreeze != freezeCount
            && dirty.block(node.qidPath, index) == nil
            && !isHole(node.qidPath, index)
    }

    /// Whether the active layer says that there is no such block, whatever lies below. Lock held.
    func isHole(_ qid: UInt64, _ index: UInt64) -> Bool {
        dataRemovals > 0 && active.hasRemoved(Key.data(qid, block: index))
    }

    private func readBases(
        _ qid: UInt64, _ window: WriteWindow, _ view: BelowView, mayBlock: Bool
    ) throws(FileError) -> WriteBases {
        var bases = WriteBases()
        bases.first = try blockBelow(qid, window.firstBlock, view, mayBlock: mayBlock)
        if window.lastBlock != window.firstBlock {
            bases.last = try blockBelow(qid, window.lastBlock, view, mayBlock: mayBlock)
        }
        return bases
    }

    /// Makes the change in the active layer. Lock held.
    private func apply(
        _ window: WriteWindow, to node: FileNode, _ bases: WriteBases, _ clearsSetIDs: Bool,
        as caller: Caller
    ) throws(FileError) {
        try checkWritable(contentsOf: node)
        let qid = node.qidPath
        let key = node.key
        let length = UInt64(bitPattern: node.entry.length)
        var needed = SpacePromise()
        var index = window.firstBlock
        while index <= window.lastBlock {
            if dirty.block(qid, index) == nil {
                needed.dataBlocks += 1
                needed.bytes += Key.dataRecordBytes
                if index == window.firstBlock, index == 0 || dirty.block(qid, index - 1) == nil {
                    needed.keys += 1
                }
            }
            index += 1
        }
        needed += promise(forPutting: key, valueBytes: DirectoryEntry.posixByteCount)
        if node.isRemoved { needed += SpacePromise(keys: 1, bytes: 64) }
        try take(needed, as: caller, drawsOnReserve: false)

        index = window.firstBlock
        while index <= window.lastBlock {
            let buffer =
                dirty.block(qid, index) ?? newBlock(window, index, length, bases, qid, caller)
            window.copy(into: buffer, index)
            index += 1
        }
        node.noteWrite(window.firstBlock..<(window.lastBlock + 1))
        node.entry.length = Int64(bitPattern: max(length, window.end))
        if clearsSetIDs { node.entry.clearSetIDs() }
        stamp(node, as: caller)
        putContents(of: node)
    }

    /// A new block of the active layer, holding what the write keeps of the old one.
    private func newBlock(
        _ window: WriteWindow, _ index: UInt64, _ length: UInt64, _ bases: WriteBases,
        _ qid: UInt64,
        _ caller: Caller
    ) -> BlockBuffer {
        let buffer = volume.newBuffer()
        let start = index * UInt64(Geometry.blockBytes)
        let end = start + UInt64(Geometry.blockBytes)
        // What is changed a part at a time is read again for the next part; what is new, as far as
        // the file goes, is not, and a small file would take a whole block of memory.
        if window.offset <= start, window.end >= min(end, length) {
            buffer.isCachedByWriter = caller.cachesContents
        }
        if window.offset > start || window.end < end {
            var base: BlockBuffer?
            if window.keepsOldBytes(of: index, length: length), !isHole(qid, index) {
                base = index == window.firstBlock ? bases.first : bases.last
            }
            if let base {
                // Old bytes past the end never come back: SEMANTICS 12.4.
                let kept = Int(min(UInt64(Geometry.blockBytes), length - start))
                memcpy(buffer.base, base.base, kept)
                memset(buffer.base + kept, 0, Geometry.blockBytes - kept)
            } else {
                memset(buffer.base, 0, Geometry.blockBytes)
            }
        }
        dirty.insert(buffer, qid, index)
        return buffer
    }
}

extension Key {
    /// Bytes that a data record takes in a leaf: table entry, lengths, key, pointer.
    static let dataRecordBytes = 2 + 4 + 17 + BlockPointer.byteCount
}
