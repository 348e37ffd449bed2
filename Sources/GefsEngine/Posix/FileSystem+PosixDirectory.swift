import GefsFormat

/// One entry of a directory that was listed.
public struct PosixEntry: Sendable {
    public var name: [UInt8]
    public var status: PosixStatus
}

extension FileSystem {
    /// The entries of a directory behind the one of that name, in key order, at most `limit`.
    ///
    /// Entries that come or go between two calls are seen or not, all others exactly once.
    public func entries(
        of handle: FileHandle, after name: [UInt8]?, limit: Int, as caller: Caller
    ) throws(FileError) -> [PosixEntry] {
        guard let node = handle.node else { throw .notADirectory }
        guard node.isDirectory else { throw .notADirectory }
        let (isRemoved, isLost) = node.branch.lock.locked { (node.isRemoved, node.isLost) }
        if isLost { throw .removed }
        if isRemoved { return [] }
        var entries: [PosixEntry] = []
        var fault: FileError?
        try node.branch.scan(
            prefix: Key.entryPrefix(node.qidPath),
            after: name.map { Key.entry(parent: node.qidPath, name: $0).bytes },
            mayBlock: caller.mayBlock
        ) { key, value in
            do throws(FileError) {
                let entry = try node.branch.entry(ofName: value, mayBlock: caller.mayBlock)
                guard let entry else { return true }
                entries.append(
                    PosixEntry(
                        name: Array(UnsafeRawBufferPointer(rebasing: key[11..<(key.count - 1)])),
                        status: PosixStatus(
                            entry, allocatedBlocks: nil, changeTime: nil, isRemoved: false)))
            } catch {
                fault = error
                return false
            }
            return entries.count < limit
        }
        if let fault { throw fault }
        return entries
    }

    /// `lookUp` of a name that was listed.
    public func lookUp(
        _ name: [UInt8], in directory: FileHandle, as caller: Caller
    ) throws(FileError) -> (FileHandle, PosixStatus) {
        try name.withBytes { (bytes) throws(FileError) in
            try lookUp(bytes, in: directory, as: caller)
        }
    }
}
