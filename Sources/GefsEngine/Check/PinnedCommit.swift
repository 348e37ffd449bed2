import GefsFormat

/// The last commit of a running volume, held so that it can be checked.
///
/// While one exists no block becomes free, so every block that the commit refers to keeps its
/// contents. Made on the flush thread, between two commits.
final class PinnedCommit: CheckSource {
    let superblock: Superblock
    let arenas: [CheckedArena]
    private let freeRanges: [[Range<UInt64>]]
    private let volume: Volume

    var deviceBytes: UInt64 {
        volume.device.byteCount - volume.device.byteCount % UInt64(Geometry.blockBytes)
    }

    var isRunning: Bool { true }

    init(_ volume: Volume) {
        self.volume = volume
        superblock = volume.superblock
        arenas = volume.arenas.arenas.map {
            CheckedArena(
                index: $0.index, address: $0.address, byteCount: $0.byteCount,
                logBlocks: $0.log.chain, isMapKnown: true)
        }
        freeRanges = volume.arenas.arenas.map { $0.committedFreeRanges() }
        volume.lock.locked { volume.pins += 1 }
    }

    deinit {
        volume.lock.locked { volume.pins -= 1 }
    }

    func forEachFreeRange(of arena: CheckedArena, _ body: (Range<UInt64>) -> Void) {
        guard freeRanges.indices.contains(arena.index) else { return }
        freeRanges[arena.index].forEach(body)
    }

    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DeviceError) {
        try volume.device.read(at: offset, into: buffer)
    }
}

extension Arena {
    /// What was free at the last commit, in bytes of the device, lowest first.
    fileprivate func committedFreeRanges() -> [Range<UInt64>] {
        // What is free now, with every change since turned back: a set that differs from the
        // present one at the edges of the changes.
        var edges: [Int] = []
        map.forEachFreeRun { range in
            edges.append(range.lowerBound)
            edges.append(range.upperBound)
            return true
        }
        map.forEachChange { range, _ in
            edges.append(range.lowerBound)
            edges.append(range.upperBound)
        }
        edges.sort()
        var kept: [Int] = []
        for edge in edges {
            if kept.last == edge { kept.removeLast() } else { kept.append(edge) }
        }
        return stride(from: 0, to: kept.count - 1, by: 2).map { index in
            blockAddress(kept[index]).rawValue..<blockAddress(kept[index + 1]).rawValue
        }
    }
}
