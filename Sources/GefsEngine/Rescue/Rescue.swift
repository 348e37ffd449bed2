import GefsFormat

/// Copies out what is whole of a volume that cannot be opened any more.
///
/// Nothing is looked for where it should be: all blocks of the device are read for what has the
/// form of a tree node, and hashes in nodes say which belong together. Superblocks, logs and
/// arenas are not needed. The device is only read.
///
/// Memory: 40 bytes for each node found, 32 MiB of nodes, and for a tree that is copied some 100
/// bytes a directory and 16 a file. File data is streamed.
/// Source: FORMAT 6, 7 and 8; Docs/RELIABILITY.md, "Rescue".
public final class Rescue {
    /// How to look.
    public struct Options: Sendable {
        /// The byte of the device where the volume begins; nil to find out.
        public var offset: UInt64?
        /// Also use leaves that nothing vouches for. What they say of data is verified all the
        /// same; names, lengths and modes are not.
        public var usesUnverified = false

        public init() {}
    }

    /// Asked now and then on the calling thread whether to go on.
    public typealias ProgressHandler = (RescueProgress) -> Bool

    let device: any BlockDevice
    let options: Options
    let found: ScannedNodes
    /// Superblocks, the newest first.
    let superblocks: [ScannedSuperblock]
    /// What the scan has found.
    public private(set) var report: RescueScanReport
    /// Trees that were made out, in the order of their names; set once.
    private(set) var candidates: [RescueCandidate] = []
    let progress: ProgressHandler?

    /// The trees that can be copied out, in the order of their names.
    public var trees: [RescuableTree] { candidates.map(\.tree) }

    /// Scans a device; takes as long as reading all of it.
    ///
    /// - Throws: `nothingFound`, or `stopped` where `progress` said so.
    public init(
        _ device: any BlockDevice, options: Options = Options(), progress: ProgressHandler? = nil
    ) throws(RescueError) {
        self.device = device
        self.options = options
        self.progress = progress
        let scanned = try Self.scan(device, options, progress)
        found = scanned.found
        superblocks = scanned.superblocks
        report = scanned.report
        if options.usesUnverified { found.markData { true } }
        for number in found.numbers {
            let node = found[number]
            if node.isBelieved { report.believedNodes += 1 }
            if !node.isBelieved, node.isLeaf, !node.flags.contains(.data) {
                report.unverifiedLeaves += 1
            }
        }
        candidates = try makeCandidates()
        let isEmpty = candidates.isEmpty && report.unverifiedLeaves == 0 && superblocks.isEmpty
        if isEmpty { throw .nothingFound }
    }

    // MARK: The scan

    private struct Scanned {
        var found: ScannedNodes
        var superblocks: [ScannedSuperblock]
        var report: RescueScanReport
    }

    private static func scan(
        _ device: any BlockDevice, _ options: Options, _ progress: ProgressHandler?
    ) throws(RescueError) -> Scanned {
        let start = options.offset ?? 0
        var result = try scan(device, start: start, origin: nil, progress)
        if result.links == 0, options.offset == nil {
            // Nothing fits together if the volume begins at byte 0: where else may it begin?
            var origin = result.scanned.found.vote(
                result.scanned.superblocks, unit: UInt64(Geometry.blockBytes))
            if origin == nil { origin = try originAtSectors(device, progress) }
            if let origin {
                let blockBytes = Int64(Geometry.blockBytes)
                let phase = (origin % blockBytes + blockBytes) % blockBytes
                let moved = try scan(device, start: UInt64(phase), origin: origin, progress)
                if moved.links > 0 { result = moved }
            }
        }
        return result.scanned
    }

    private static func scan(
        _ device: any BlockDevice, start: UInt64, origin: Int64?, _ progress: ProgressHandler?
    ) throws(RescueError) -> (scanned: Scanned, links: Int) {
        let finds = try finds(device, start: start, step: Geometry.blockBytes, progress)
        let origin = origin ?? Int64(clamping: start)
        let found = ScannedNodes(device, nodes: finds.nodes, start: start, origin: origin)
        let superblocks = finds.superblocks.sorted { $0.commitGeneration > $1.commitGeneration }
        let links = found.link(superblocks) {
            progress?(RescueProgress(phase: .linking, bytesDone: 0, bytesTotal: nil)) ?? true
        }
        guard let links else { throw .stopped }
        var report = RescueScanReport()
        report.deviceBytes = device.byteCount
        report.bytesRead = finds.bytesRead
        report.unreadable = merged(finds.unreadable)
        report.offset = origin
        report.superblocks = superblocks.count
        report.nodes = finds.nodes.count
        return (Scanned(found: found, superblocks: superblocks, report: report), links)
    }

    /// Where the volume begins if blocks are aligned to sectors only.
    private static func originAtSectors(
        _ device: any BlockDevice, _ progress: ProgressHandler?
    ) throws(RescueError) -> Int64? {
        let step = Geometry.sectorBytes
        let finds = try finds(device, start: 0, step: step, progress)
        let found = ScannedNodes(device, nodes: finds.nodes, start: 0, origin: 0)
        return found.vote(finds.superblocks, unit: UInt64(step))
    }

    private static func finds(
        _ device: any BlockDevice, start: UInt64, step: Int, _ progress: ProgressHandler?
    ) throws(RescueError) -> RescueScan.Finds {
        let scan = RescueScan(device, start: start, step: step)
        let finds = scan.run { done in
            let state = RescueProgress(
                phase: .scanning, bytesDone: done, bytesTotal: device.byteCount)
            return progress?(state) ?? true
        }
        guard let finds else { throw .stopped }
        return finds
    }

    private static func merged(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
        var merged: [Range<UInt64>] = []
        for range in ranges {
            if let last = merged.last, last.upperBound == range.lowerBound {
                merged[merged.count - 1] = last.lowerBound..<range.upperBound
            } else {
                merged.append(range)
            }
        }
        return merged
    }
}
