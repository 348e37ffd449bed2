import GefsFormat
import Testing

@testable import GefsEngine

/// What damage is found, how it is weighed, and that nothing traps on it.
@Suite struct CheckerDamageTests {
    static let all =
        Damage.volumes + Damage.blocks + Damage.nodes + Damage.files + Damage.snapshots
        + Damage.lines + Damage.deadlists

    @Test(arguments: all)
    func `damage is found, and the finding names the block`(damage: Damage) throws {
        let volume = damage.volume()
        let report = CheckerTests.check(volume)
        let found = report.findings.filter { $0.kind == damage.kind }
        #expect(!found.isEmpty, "\(report.findings)")
        if let block = damage.block {
            let address = volume.address(block)
            #expect(found.contains { $0.address == address }, "\(address) in \(report.findings)")
        }
        for finding in report.findings { #expect(!finding.description.isEmpty) }
        // The oracle takes a while to start, a hundred times over.
        guard ReferenceImages.isThorough, damage.isSeenByOracle,
            let isBroken = try oracleCallsBroken(volume)
        else { return }
        #expect(report.isBroken == isBroken, "\(report.findings)")
    }

    private func oracleCallsBroken(_ volume: ForgedVolume) throws -> Bool? {
        let path = try ReferenceImages.temporaryFile(holding: volume.image)
        defer { ReferenceImages.remove(path) }
        return try ReferenceImages.oracleVerdict(on: path)?.last?.hasPrefix("BROKEN")
    }

    @Test func `each kind of damage is a kind of its own`() {
        #expect(Set(Self.all.map(\.kind)).count >= 50)
    }

    @Test(arguments: [1, 20, 50])
    func `a tree with a path for every bit pattern is walked once`(levels: Int) {
        var plan = VolumePlan()
        plan.arenaBlocks = 128
        plan.repeatedLevels = levels
        plan.snapshots[plan.place(5)].height = UInt32(2 + levels)
        let volume = ForgedVolume(plan)
        let report = CheckerTests.check(volume)
        #expect(report.count(of: "node.range") > 0)
        #expect(report.totals.verifiedBlocks == 15 + levels)
        let dump = try? VolumeDump(MemoryDevice(volume.image))
        #expect(dump?.tree(label: Array("main".utf8))?.nodes.count == 4 + levels)
    }

    @Test func `random bytes in any block do not trap`() {
        let seed = storeTestSeed()
        var random = SplitMix(seed: seed)
        let nodes = [
            "leaf0", "leaf1", "leaf2", "oldLeaf", "oldRoot", "root", "snapshotRoot", "emptyLeaf",
            "adminLeaf",
        ]
        let others = ["primary", "backup", "header0", "footer0", "log0", "log1", "deadlist (5, 3)"]
        for _ in 0..<400 {
            var plan = VolumePlan()
            for _ in 0..<random.next(below: 3) {
                let changes = (0...random.next(below: 4)).map { _ in
                    (offset: random.offset(), value: random.byte())
                }
                plan.tamper[nodes[random.next(below: nodes.count)]] = { base in
                    for change in changes {
                        base.storeBytes(
                            of: change.value, toByteOffset: change.offset, as: UInt8.self)
                    }
                }
            }
            var volume = ForgedVolume(plan)
            if random.next(below: 3) == 0 {
                let name = others[random.next(below: others.count)]
                volume.flip(name, random.offset())
            }
            let device = MemoryDevice(volume.image)
            let report = Checker.check(device)
            for finding in report.findings { #expect(!finding.description.isEmpty) }
            for name in nodes + others {
                let dump = try? BlockDump(volume.address(name), on: device)
                #expect(dump?.description.isEmpty == false)
            }
            if let dump = try? VolumeDump(device) {
                _ = dump.snapshotTree().description
                _ = dump.tree(label: Array("main".utf8))?.description
            }
        }
    }
}

/// Random numbers that a seed determines.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func next(below bound: Int) -> Int { Int.random(in: 0..<bound, using: &self) }

    mutating func byte() -> UInt8 {
        // Extremes more often than by chance.
        switch next(below: 4) {
        case 0: 0
        case 1: 0xff
        default: UInt8(truncatingIfNeeded: next())
        }
    }

    /// A place in a block; headers, tables and heaps more often than the rest.
    mutating func offset() -> Int {
        switch next(below: 4) {
        case 0: next(below: 16)
        case 1: next(below: 128)
        case 2: Geometry.blockBytes - 1 - next(below: 1200)
        default: next(below: Geometry.blockBytes)
        }
    }
}
