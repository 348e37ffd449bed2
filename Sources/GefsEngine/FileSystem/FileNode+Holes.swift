import GefsFormat

/// Where a file has no blocks.
///
/// Holes come from writes behind the end, from lengths that grow, and from ranges that are taken out.
/// A volume with the feature `posix` remembers of a file that it may have some; other files are taken
/// for whole when they are first looked at, so that only few are ever searched for holes.
extension FileNode {
    /// Blocks as far as the file goes. Lock held.
    private var endBlock: UInt64 {
        Geometry.blockCount(coveringBytes: UInt64(bitPattern: entry.length))
    }

    /// What is known of a file by its entry alone; nil: somebody has to look.
    static func holes(_ entry: DirectoryEntry) -> HoleMap? {
        entry.posix?.mayHaveHoles ?? false ? nil : HoleMap()
    }

    /// Blocks that the file takes; nil where nobody has counted them. Lock held.
    var allocatedBlocks: UInt64? {
        isDirectory ? 0 : holes.map { endBlock - min(endBlock, $0.count) }
    }

    /// Blocks come to be there; the file's length is still the old one. Lock held.
    func noteWrite(_ blocks: Range<UInt64>) {
        let end = endBlock
        if let holes, holes.isEmpty, blocks.lowerBound <= end { return }
        changeHoles { map in
            if blocks.lowerBound > end { map.insert(end..<blocks.lowerBound) }
            map.remove(blocks)
        }
    }

    /// The file gets that length, without any block more. Lock held.
    func noteLength(_ length: UInt64) {
        let (old, new) = (endBlock, Geometry.blockCount(coveringBytes: length))
        if let holes, holes.isEmpty, new <= old { return }
        changeHoles { map in
            if new > old {
                map.insert(old..<new)
            } else {
                map.cut(at: new)
            }
        }
    }

    /// Blocks are taken away. Lock held.
    func noteHole(_ blocks: Range<UInt64>) {
        let present = blocks.clamped(to: 0..<endBlock)
        changeHoles { $0.insert(present) }
    }

    private func changeHoles(_ body: (inout HoleMap) -> Void) {
        guard var map = holes, !map.isCountOnly else {
            holes = nil
            return
        }
        // In place, as long as nobody else has it.
        holes = nil
        body(&map)
        entry.posix?.mayHaveHoles = !map.isEmpty
        holes = map
    }
}

extension Branch {
    /// Blocks that are looked at in one step.
    private static let holeSearchBlocks = 4096

    /// Looks which blocks a file does not have, unless that is known. Others may change the file
    /// meanwhile; where they do that all the time it stays unknown.
    func findHoles(of node: FileNode) throws(FileError) {
        for _ in 0..<4 {
            let found = lock.locked { () -> (version: UInt32, end: UInt64)? in
                guard node.holes == nil, !node.isLost else { return nil }
                return (
                    node.entry.qidVersion,
                    Geometry.blockCount(coveringBytes: UInt64(bitPattern: node.entry.length))
                )
            }
            guard let (version, end) = found else { return }
            let map = try holes(of: node.qidPath, before: end)
            let isDone = lock.locked { () -> Bool in
                guard node.entry.qidVersion == version else { return false }
                node.holes = map
                return true
            }
            if isDone { return }
        }
    }

    private func holes(of qid: UInt64, before end: UInt64) throws(FileError) -> HoleMap {
        var map = HoleMap()
        var next: UInt64 = 0
        var searched: UInt64? = 0
        while let start = searched, start < end {
            let found = try dataBlocks(qid, from: start, limit: Self.holeSearchBlocks)
            for index in found.indices where index < end {
                map.insert(next..<index)
                next = index + 1
            }
            searched = found.end
        }
        map.insert(min(next, end)..<end)
        return map
    }
}
