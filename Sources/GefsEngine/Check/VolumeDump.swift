import GefsFormat

/// Superblocks, arenas, logs and trees of a closed device, for people and for programs.
///
/// Loads like the checker: what is damaged is described in `findings`, and the rest is shown.
public struct VolumeDump: Sendable {
    private let source: ClosedDevice
    /// What was wrong when the device was loaded, one line each.
    public let findings: [String]

    /// Loads a device. Blocks until its logs are read.
    ///
    /// - Throws: the findings, when there is no usable superblock.
    public init(_ device: any BlockDevice) throws(Unusable) {
        let log = FindingLog(perKindMax: CheckOptions().findingsPerKindMax)
        let source = ClosedDevice(device, log: log)
        var report = CheckReport()
        log.write(to: &report)
        let findings = report.findings.map { "\($0.severity): \($0)" }
        guard let source else { throw Unusable(findings: findings) }
        self.source = source
        self.findings = findings
    }

    /// There is no usable superblock.
    public struct Unusable: Error, Hashable, Sendable {
        /// Why, one line each.
        public let findings: [String]
    }

    /// The superblock in use.
    public var superblock: SuperblockDump {
        let primary = BlockAddress(rawValue: 0)
        let block = try? BlockDump(primary, on: source.device)
        if case .superblock(var dump)? = block {
            let used = SuperblockDump(source.superblock, at: primary)
            dump.address = used.address
            if dump == used { return used }
        }
        let backup = source.deviceBytes - UInt64(Geometry.blockBytes)
        return SuperblockDump(source.superblock, at: BlockAddress(rawValue: backup))
    }

    /// The arenas by address.
    public var arenas: [ArenaDump] {
        source.arenas.map { arena in
            var freeBytes: UInt64 = 0
            if arena.isMapKnown {
                source.forEachFreeRange(of: arena) { freeBytes += $0.upperBound - $0.lowerBound }
            }
            return ArenaDump(arena, freeBytes: freeBytes)
        }
    }

    /// The blocks of an arena's allocation log, up to the barrier of the commit.
    ///
    /// - Parameter index: the arena's place in the superblock.
    /// - Returns: `nil` when there is no such arena.
    public func log(ofArena index: Int) throws(DeviceError) -> [BlockDump]? {
        guard let arena = source.arenas.first(where: { $0.index == index }) else { return nil }
        var blocks: [BlockDump] = []
        for address in arena.logBlocks {
            blocks.append(try BlockDump(address, on: source.device, as: .allocationLog))
        }
        return blocks
    }

    /// The snapshot tree.
    ///
    /// - Parameter depth: how many levels to show.
    public func snapshotTree(depth: Int = .max) -> TreeDump {
        TreeDump(
            source, root: source.superblock.snapshotTreeRoot,
            height: source.superblock.snapshotTreeHeight, depth: depth)
    }

    /// The tree of a snapshot.
    ///
    /// - Parameters:
    ///   - label: a label that names the snapshot.
    ///   - depth: how many levels to show.
    /// - Returns: `nil` when there is no such label.
    public func tree(label: [UInt8], depth: Int = .max) -> TreeDump? {
        let run = CheckRun.reading(source)
        guard let label = run.labels.first(where: { $0.key == Key.label(label) }) else {
            return nil
        }
        return tree(run, label.record.generation, depth)
    }

    /// The tree of a snapshot.
    ///
    /// - Parameters:
    ///   - generation: the snapshot.
    ///   - depth: how many levels to show.
    /// - Returns: `nil` when there is no such snapshot.
    public func tree(generation: Generation, depth: Int = .max) -> TreeDump? {
        tree(CheckRun.reading(source), generation, depth)
    }

    private func tree(_ run: CheckRun, _ generation: Generation, _ depth: Int) -> TreeDump? {
        run.snapshots.first { $0.generation == generation }.map {
            TreeDump(source, root: $0.record.root, height: $0.record.height, depth: depth)
        }
    }
}

/// An arena and what its log says.
public struct ArenaDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// Its place in the superblock.
    public var index: Int
    /// Where the header lies.
    public var address: String
    /// Bytes behind header and footer.
    public var byteCount: UInt64
    /// Of these, what the log says is free; `nil` when the log is damaged.
    public var freeBytes: UInt64?
    /// The blocks of its log up to the barrier of the commit.
    public var logBlocks: [String]

    init(_ arena: CheckedArena, freeBytes: UInt64) {
        index = arena.index
        address = arena.address.description
        byteCount = arena.byteCount
        self.freeBytes = arena.isMapKnown ? freeBytes : nil
        logBlocks = arena.logBlocks.map(\.description)
    }

    /// One line.
    public var description: String {
        let blockBytes = UInt64(Geometry.blockBytes)
        let free = freeBytes.map { String($0 / blockBytes) } ?? "an unknown number"
        return "arena \(index) at \(address): \(free) of \(byteCount / blockBytes) blocks free, "
            + "log \(logBlocks.joined(separator: " "))"
    }
}

extension CheckRun {
    /// Labels and snapshots of a device, and nothing else.
    static func reading(_ source: any CheckSource) -> CheckRun {
        let run = CheckRun(
            source, log: FindingLog(perKindMax: 1), options: CheckOptions(), progress: nil)
        run.collectSnapshots(run.walkSnapshotTree())
        run.walk.finish()
        return run
    }
}
