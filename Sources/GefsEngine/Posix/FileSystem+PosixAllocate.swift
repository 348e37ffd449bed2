import GefsFormat

/// What a range of a file is to become.
public enum Allocation: Sendable {
    /// Writes to it are to find room.
    case room
    /// It reads as zeros, and writes to it are to find room.
    case zeros
    /// It reads as zeros and takes no room.
    case hole
}

extension FileSystem {
    /// Prepares a range of a file: `fallocate(2)`.
    ///
    /// Room is looked for, but not kept: every write goes to new blocks, so that blocks of the file's
    /// own would not help it.
    ///
    /// - Parameters:
    ///   - range: what of the file; not empty.
    ///   - extends: the file is to reach to the end of the range.
    /// - Throws: `.volumeFull` where there is no room; nothing has happened then. `.isADirectory`,
    ///   `.readOnly`.
    public func allocate(
        _ handle: FileHandle, _ range: Range<UInt64>, _ kind: Allocation, extends: Bool,
        as caller: Caller
    ) throws(FileError) {
        guard let node = handle.node, !node.isDirectory else { throw .isADirectory }
        if node.isAdministrative { throw .permissionDenied }
        if kind != .hole { try findRoom(for: range, of: node) }
        if kind != .room { try makeHole(handle, range, as: caller) }
        var changes = PosixChanges()
        // What asks for an allocation of any kind modifies the file, even where nothing is to be done.
        changes.modificationTime = volume.now()
        if extends {
            changes.length = range.upperBound
            changes.isLengthMinimum = true
        }
        _ = try change(handle, changes, as: caller)
    }

    /// - Throws: `.volumeFull`.
    private func findRoom(for range: Range<UInt64>, of node: FileNode) throws(FileError) {
        let block = UInt64(Geometry.blockBytes)
        let blocks =
            (range.lowerBound / block)..<Geometry.blockCount(coveringBytes: range.upperBound)
        if UInt64(blocks.count) <= space().available / block { return }
        // What was removed lately is room, too; and so is, in the end, what the file has already.
        let available = settledSpace().available / block
        if UInt64(blocks.count) <= available { return }
        var present: UInt64 = 0
        var next: UInt64? = blocks.lowerBound
        while let start = next, start < blocks.upperBound {
            let found = try node.branch.dataBlocks(node.qidPath, from: start, limit: 4096)
            present += UInt64(found.indices.count { $0 < blocks.upperBound })
            next = found.end
        }
        if UInt64(blocks.count) - present > available { throw .volumeFull }
    }
}
