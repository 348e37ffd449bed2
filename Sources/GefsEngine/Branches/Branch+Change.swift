import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The primitives of a change. All are called with the lock held, and do no I/O.
extension Branch {
    /// Refuses changes of files that are gone, of frozen trees and of a volume that is read-only.
    func checkWritable(_ node: FileNode) throws(FileError) {
        if node.isRemoved { throw .removed }
        try checkWritable()
    }

    /// Refuses changes of contents that nobody can see any more.
    func checkWritable(contentsOf node: FileNode) throws(FileError) {
        if node.isLost { throw .removed }
        try checkWritable()
    }

    func checkWritable() throws(FileError) {
        guard isMutable, !isRetired else { throw .readOnly }
        try volume.checkWritable()
    }

    /// What putting a key promises: nothing where the active memtable holds it already.
    func promise(forPutting key: Key, valueBytes: Int) -> SpacePromise {
        if case .absent = key.withBytes({ active.lookup($0) }) {
            return SpacePromise(keys: 1, bytes: 16 + key.bytes.count + valueBytes)
        }
        return SpacePromise()
    }

    /// What putting or removing parts of a file's attributes promises. They lie one behind the other:
    /// leaves that hold them are as many as their bytes fill, and have the way there in common. A way
    /// for each would want more than the reserve has where many are removed.
    func promise(forAttributes keys: [Key]) -> SpacePromise {
        let absent = keys.filter { key in
            if case .absent = key.withBytes({ active.lookup($0) }) { true } else { false }
        }
        guard !absent.isEmpty else { return SpacePromise() }
        return SpacePromise(
            keys: 2,
            bytes: absent.reduce(0) { $0 + 16 + $1.bytes.count + AttributeKeyView.partBytes })
    }

    /// Takes space for a change, before any effect.
    func take(
        _ needed: SpacePromise, as caller: Caller, drawsOnReserve: Bool
    ) throws(FileError) {
        guard volume.ledger.take(needed, drawsOnReserve: drawsOnReserve) else {
            throw .volumeFull
        }
        if !isListed {
            isListed = true
            volume.changed.add(self)
        }
        promise += needed
        volume.noteUnflushed(needed)
    }

    /// A change of a file's contents or metadata: version, time, user.
    func stamp(_ node: FileNode, as caller: Caller) {
        node.entry.qidVersion &+= 1
        node.entry.modificationTime = volume.now()
        node.entry.muid = caller.user.rawValue
        node.changeTime = node.entry.modificationTime
        tell(.file(qidPath: node.qidPath), as: caller)
    }

    /// What POSIX adds to the entry of a file that is made now; nil where the disk has no place for it.
    func posixPart(at time: Int64) -> DirectoryEntry.Posix? {
        volume.isPosix ? DirectoryEntry.Posix(changeTime: time) : nil
    }

    /// Puts a node's entry, which the branch has already, into the active layer.
    func put(_ node: FileNode) {
        put(node.entry, node.key, isNew: false)
    }

    /// Puts the entry of a node whose contents were changed. A file without a name has none: its
    /// data goes when the last who has it open closes it, also after a crash.
    func putContents(of node: FileNode) {
        guard node.isRemoved else { return put(node) }
        if clears[node.qidPath] == nil { startClear(node.qidPath, from: 0) }
    }

    func put(_ entry: DirectoryEntry, _ key: Key, isNew: Bool) {
        withUnsafeTemporaryAllocation(byteCount: entry.encodedByteCount, alignment: 8) { space in
            guard let base = space.baseAddress else { return }
            entry.encode(into: base)
            key.withBytes {
                active.put($0, UnsafeRawBufferPointer(space), presentBelow: !isNew)
            }
        }
    }

    func put(_ key: Key, _ value: [UInt8], isNew: Bool) {
        key.withBytes { keyBytes in
            value.withUnsafeBytes { active.put(keyBytes, $0, presentBelow: !isNew) }
        }
    }

    /// Removes a key that is present.
    func removeKey(_ key: Key) {
        key.withBytes { active.remove($0, presentBelow: true) }
    }

    /// Removes keys of data that may be present below.
    func removeData(_ qid: UInt64, _ indices: some Sequence<UInt64>) {
        for index in indices {
            removeKey(Key.data(qid, block: index))
            dataRemovals += 1
        }
    }

    /// What removing so many keys of data promises.
    func promise(forRemovingData count: Int) -> SpacePromise {
        guard count > 0 else { return SpacePromise() }
        return SpacePromise(keys: 1 + count / 64, bytes: count * 32)
    }

    /// Makes what lies beyond the end of a file zero, so that the file can grow.
    ///
    /// Disks of the original hold old bytes there (FORMAT 7.2), and so does our own last block
    /// after a truncation. Not to be called with the lock held.
    func cleanTail(_ node: FileNode, as caller: Caller) throws(FileError) {
        let qid = node.qidPath
        try waitForClear(qid, as: caller)
        struct Tail {
            var length: UInt64
            var stale: DataKeys
            var last: BlockBuffer?
        }
        try update { (view: BelowView) throws(FileError) -> Tail in
            let length = lock.locked { UInt64(bitPattern: node.entry.length) }
            let end = Geometry.blockCount(coveringBytes: length)
            let stale = try dataKeysBelow(
                qid, from: end, limit: Self.inlineClearMax, view, mayBlock: caller.mayBlock)
            var last: BlockBuffer?
            if length % UInt64(Geometry.blockBytes) != 0 {
                last = try blockBelow(qid, end - 1, view, mayBlock: caller.mayBlock)
            }
            return Tail(length: length, stale: stale, last: last)
        } _: { (tail: Tail) throws(FileError) -> Void in
            guard !node.hasCleanTail, UInt64(bitPattern: node.entry.length) == tail.length,
                clears[qid] == nil || node.isRemoved
            else { return }
            try checkWritable(contentsOf: node)
            if tail.stale.hasMore, node.isRemoved {
                // Its job is to clear all of it; what is in the way is cleared at once.
                try take(
                    promise(forRemovingData: tail.stale.indices.count), as: caller,
                    drawsOnReserve: true)
                removeData(qid, tail.stale.indices)
                return
            }
            if tail.stale.hasMore {
                let end = Geometry.blockCount(coveringBytes: tail.length)
                try take(
                    SpacePromise(keys: 1, bytes: 64), as: caller, drawsOnReserve: true)
                startClear(qid, from: end)
                return
            }
            var needed = promise(forRemovingData: tail.stale.indices.count)
            let rest = Int(tail.length % UInt64(Geometry.blockBytes))
            let index = tail.length / UInt64(Geometry.blockBytes)
            let active = rest == 0 ? nil : dirty.block(qid, index)
            let needsCopy =
                active == nil && !isHole(qid, index)
                && tail.last.map { !$0.isZero(from: rest) } ?? false
            if needsCopy {
                needed.dataBlocks += 1
                needed.keys += 1
                needed.bytes += Key.dataRecordBytes
            }
            try take(needed, as: caller, drawsOnReserve: false)
            removeData(qid, tail.stale.indices)
            if let active {
                active.clear(from: rest)
            } else if needsCopy, let last = tail.last {
                let copy = volume.newBuffer()
                memcpy(copy.base, last.base, rest)
                copy.clear(from: rest)
                dirty.insert(copy, qid, index)
            }
            node.hasCleanTail = true
        }
    }
}

extension BlockBuffer {
    /// Makes all bytes from `offset` on zero.
    func clear(from offset: Int) {
        memset(base + offset, 0, Geometry.blockBytes - offset)
    }

    /// Whether all bytes from `offset` on are zero.
    func isZero(from offset: Int) -> Bool {
        bytes[offset...].allSatisfy { $0 == 0 }
    }
}

extension Geometry {
    /// Blocks that so many bytes take.
    static func blockCount(coveringBytes bytes: UInt64) -> UInt64 {
        bytes / UInt64(blockBytes) + (bytes % UInt64(blockBytes) == 0 ? 0 : 1)
    }
}

extension DirectoryEntry {
    /// Directories come into a directory, or leave it: each counts as a link of it. Where they were
    /// not counted from the beginning they never are. Source: Docs/FORMAT.md 12.2.
    mutating func countDirectories(_ change: Int) {
        guard let count = posix?.linkCount, count >= 2 else { return }
        posix?.linkCount = UInt32(max(2, Int(count) + change))
    }
}
