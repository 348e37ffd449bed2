import GefsFormat

/// Where a file has data.
public enum Extent: Sendable {
    case data
    case hole
}

extension FileSystem {
    /// Writes all of `bytes` at `offset`, or at the end, also to a file without a name.
    ///
    /// - Parameters:
    ///   - appends: the end of the file is found and written to at once.
    ///   - clearsSetIDs: the file loses its set-id bits with it.
    /// - Returns: what `stat` tells now.
    /// - Throws: as `write`.
    public func writeUnchecked(
        _ handle: FileHandle, at offset: UInt64, from bytes: UnsafeRawBufferPointer,
        appends: Bool = false, clearsSetIDs: Bool = false, as caller: Caller
    ) throws(FileError) -> Int {
        guard let node = handle.node else { throw .isADirectory }
        if node.isAdministrative { throw .permissionDenied }
        try volume.admit(caller)
        return try withRoom(caller) { () throws(FileError) -> Int in
            try node.branch.write(
                node, at: offset, from: bytes, appends: appends, clearsSetIDs: clearsSetIDs,
                as: caller)
        }
    }

    /// Reads without a check of how the handle is open.
    public func readUnchecked(
        _ handle: FileHandle, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer,
        as caller: Caller
    ) throws(FileError) -> Int {
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        return try node.branch.read(node, at: offset, into: buffer, as: caller)
    }

    /// The content of a small file: a symbolic link's target, a device's numbers.
    public func content(of handle: FileHandle, atMost limit: Int, as caller: Caller)
        throws(FileError) -> [UInt8]
    {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: limit, alignment: 8)
        defer { buffer.deallocate() }
        let count = try readUnchecked(handle, at: 0, into: buffer, as: caller)
        return Array(buffer[..<count])
    }

    /// Makes a range of a file read as zeros; whole blocks of it become holes. The length stays.
    ///
    /// A range of many blocks is done in steps, each seen by others when it is done.
    public func makeHole(_ handle: FileHandle, _ range: Range<UInt64>, as caller: Caller)
        throws(FileError)
    {
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        let branch = node.branch
        try branch.waitForClear(node.qidPath, as: caller)
        let block = UInt64(Geometry.blockBytes)
        let length = branch.lock.locked { UInt64(bitPattern: node.entry.length) }
        let end = min(range.upperBound, length)
        guard range.lowerBound < end else { return }
        let first = (range.lowerBound + block - 1) / block
        // A last block that the range covers as far as the file goes is covered.
        let last = end == length ? Geometry.blockCount(coveringBytes: end) : end / block
        if first >= last {
            try writeZeros(handle, range.lowerBound..<end, as: caller)
            return
        }
        if range.lowerBound < first * block {
            try writeZeros(handle, range.lowerBound..<(first * block), as: caller)
        }
        if last * block < end { try writeZeros(handle, (last * block)..<end, as: caller) }
        var next = first
        while next < last { next = try clearBlocks(node, next..<last, as: caller) }
    }

    /// Overwrites parts of one or two blocks. A block that is not there stays away.
    private func writeZeros(
        _ handle: FileHandle, _ range: Range<UInt64>, as caller: Caller
    ) throws(FileError) {
        guard let node = handle.node else { return }
        try node.branch.findHoles(of: node)
        let block = UInt64(Geometry.blockBytes)
        var start = range.lowerBound
        while start < range.upperBound {
            let index = start / block
            let end = min(range.upperBound, (index + 1) * block)
            let isHole = node.branch.lock.locked { node.holes?.contains(index) ?? false }
            if !isHole {
                let zeros = [UInt8](repeating: 0, count: Int(end - start))
                _ = try zeros.withBytes { (bytes) throws(FileError) -> Int in
                    try writeUnchecked(handle, at: start, from: bytes, as: caller)
                }
            }
            start = end
        }
    }

    /// Takes some of the blocks away; returns from where to go on.
    private func clearBlocks(
        _ node: FileNode, _ blocks: Range<UInt64>, as caller: Caller
    ) throws(FileError) -> UInt64 {
        let branch = node.branch
        return try withRoom(caller) { () throws(FileError) -> UInt64 in
            try branch.update { (view: BelowView) throws(FileError) -> DataKeys in
                try branch.dataKeysBelow(
                    node.qidPath, from: blocks.lowerBound, limit: Branch.inlineClearMax, view,
                    mayBlock: caller.mayBlock)
            } _: { (keys: DataKeys) throws(FileError) -> UInt64 in
                try branch.checkWritable(contentsOf: node)
                let next =
                    keys.hasMore
                    ? min(blocks.upperBound, (keys.indices.last ?? blocks.lowerBound) + 1)
                    : blocks.upperBound
                let indices = keys.indices.filter { $0 < next }
                var needed = branch.promise(forRemovingData: indices.count)
                needed += branch.promise(
                    forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
                needed += SpacePromise(keys: 1, bytes: 64)
                try branch.take(needed, as: caller, drawsOnReserve: true)
                branch.dropDirty(node.qidPath, in: blocks.lowerBound..<next)
                branch.removeData(node.qidPath, indices)
                node.noteHole(blocks.lowerBound..<next)
                branch.stamp(node, as: caller)
                branch.putContents(of: node)
                return next
            }
        }
    }

    /// The first offset from `offset` on that lies in data, or in a hole; the end of the file is a
    /// hole. Nil where there is none.
    public func seek(
        _ handle: FileHandle, to extent: Extent, from offset: UInt64, as caller: Caller
    ) throws(FileError) -> UInt64? {
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        let branch = node.branch
        let block = UInt64(Geometry.blockBytes)
        let length = branch.lock.locked { UInt64(bitPattern: node.entry.length) }
        guard offset < length else { return nil }
        var index = offset / block
        let end = Geometry.blockCount(coveringBytes: length)
        while index < end {
            let found = try branch.dataBlocks(node.qidPath, from: index, limit: 256)
            switch extent {
            case .data:
                if let first = found.indices.first {
                    let start = max(offset, first * block)
                    return start < length ? start : nil
                }
                guard let end = found.end else { return nil }
                index = end
            case .hole:
                for present in found.indices {
                    if present != index { break }
                    index += 1
                }
                if found.end.map({ index < $0 }) ?? true {
                    return min(max(offset, index * block), length)
                }
            }
        }
        return extent == .hole ? length : nil
    }
}

extension Branch {
    /// Forgets the dirty blocks of a range and gives their promise back. Lock held.
    fileprivate func dropDirty(_ qid: UInt64, in range: Range<UInt64>) {
        let count = dirty.remove(qid, in: range)
        guard count > 0 else { return }
        let given = SpacePromise(dataBlocks: count)
        promise -= given
        volume.ledger.release(given)
        volume.noteFlushed(given)
    }

    /// The blocks that a file has from `from` on; `limit` says how many are looked at on the way.
    func dataBlocks(
        _ qid: UInt64, from: UInt64, limit: Int
    ) throws(FileError) -> DataBlocks {
        try update { (view: BelowView) throws(FileError) -> ([UInt64], DataKeys) in
            let keys = try dataKeysBelow(qid, from: from, limit: limit, view, mayBlock: true)
            // What a frozen layer took away is a hole, unless a later one has it again.
            let present = keys.indices.filter { index in
                for layer in view.frozen.reversed() {
                    if layer.dirty.block(qid, index) != nil { return true }
                    if layer.dataRemovals > 0,
                        layer.memtable.hasRemoved(Key.data(qid, block: index))
                    {
                        return false
                    }
                }
                return true
            }
            return (present, keys)
        } _: { (present: [UInt64], keys: DataKeys) throws(FileError) -> DataBlocks in
            // Beyond the last of them nothing is known where there are more.
            let end = keys.hasMore ? keys.indices.last.map { $0 + 1 } : nil
            var blocks = Set(present.filter { !isHole(qid, $0) })
            for index in dirty.files[qid]?.blocks.keys ?? [:].keys
            where index >= from && index < end ?? .max {
                blocks.insert(index)
            }
            return DataBlocks(indices: blocks.sorted(), end: end)
        }
    }
}

/// Blocks that a file has, by index.
struct DataBlocks {
    var indices: [UInt64]
    /// What lies from there on was not looked at; nil: nothing does.
    var end: UInt64?
}

extension DirtyData {
    /// Forgets the blocks of a file in a range; returns how many there were.
    mutating func remove(_ qid: UInt64, in range: Range<UInt64>) -> Int {
        guard let file = files[qid] else { return 0 }
        var count = 0
        for index in file.blocks.keys where range.contains(index) {
            if remove(qid, index) { count += 1 }
        }
        return count
    }
}
