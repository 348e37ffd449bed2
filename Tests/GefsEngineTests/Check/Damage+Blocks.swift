import GefsFormat

@testable import GefsEngine

extension Damage {
    private static let blockBytes = UInt64(Geometry.blockBytes)

    /// Superblocks, headers and logs.
    static let volumes: [Damage] = [
        .bytes("a byte of the magic", "volume.superblockUnusable", at: "primary") {
            $0.flip("primary", 3)
        },
        .bytes("a byte of the backup", "volume.superblockUnusable", at: "backup") {
            $0.flip("backup", 90)
        },
        .bytes("both superblocks", "volume.noSuperblock") {
            $0.flip("primary", 90)
            $0.flip("backup", 90)
        },
        .bytes("an older backup", "volume.superblocksDiffer") {
            $0.rewriteSuperblock("backup") { $0.commitGeneration = 9 }
        },
        .bytes("a byte of a header", "arena.damaged", at: "header0") { $0.flip("header0", 9000) },
        .bytes("the kind of a footer", "arena.damaged", at: "footer1") { $0.flip("footer1", 1) },
        .bytes("a footer of another commit", "arena.outdated", at: "footer0") {
            $0.rewriteHeader("footer0") { $0.usedBytes = 12345 }
        },
        .bytes("header and footer", "arena.unusable", at: "header1") {
            $0.flip("header1", 30)
            $0.flip("footer1", 30)
        },
        .bytes("an arena that lies elsewhere", "arena.misplaced", at: "footer1") {
            // The footer is a copy, so it passes for the header of an arena a block further on.
            let footer = $0.address("footer1")
            for copy in ["primary", "backup"] {
                $0.rewriteSuperblock(copy) { $0.arenas[1].address = footer }
            }
        },
        .bytes("an arena past the end", "arena.pastEnd") {
            var hash: UInt64 = 0
            for copy in ["header1", "footer1"] {
                hash = $0.rewriteHeader(copy) { $0.byteCount += 8 * blockBytes }
            }
            for copy in ["primary", "backup"] {
                $0.rewriteSuperblock(copy) { $0.arenas[1].hash = hash }
            }
        },
        .bytes("a byte of a log entry", "arena.logDamaged", at: "log0") { $0.flip("log0", 50) },
        .bytes("the kind of a log block", "arena.logDamaged", at: "log1") { $0.flip("log1", 1) },
        .bytes("an unknown log operation", "arena.logDamaged", at: "log1") {
            $0.change("log1") { base in
                base.storeBigEndian(UInt64(7), at: Geometry.logHeaderBytes)
                let used = Int(base.loadBigEndian(at: 2, as: UInt16.self))
                let entries = UnsafeRawBufferPointer(
                    start: base + Geometry.logHeaderBytes, count: used)
                base.storeBigEndian(MetroHash64.hash(entries), at: 4)
            }
        },
        .bytes("a block allocated twice", "arena.logContradiction", at: "log0") {
            $0.rewriteLog(0) { $0.insert($0[2], at: 3) }
        },
        .bytes("a range of another arena", "arena.logRange", at: "log0") {
            let other = $0.address("data a0")
            $0.rewriteLog(0) { $0.insert(.free(other, byteCount: blockBytes), at: 1) }
        },
        .bytes("a log that loops", "arena.logLoop", at: "log0") {
            let start = $0.address("log0").rawValue
            $0.rewriteLog(0, next: start) { $0.removeLast() }
        },
        .bytes("a log that leads out of the arena", "arena.logChain", at: "log0") {
            let other = $0.address("log1").rawValue
            $0.rewriteLog(0, next: other) { $0.removeLast() }
        },
        .bytes("a link behind the barrier that leads nowhere", "arena.logChain", at: "log0") {
            $0.rewriteLog(0, next: 0x123) { _ in }
        },
        .bytes("a log without the barrier", "arena.noBarrier") {
            $0.rewriteLog(0) { $0.removeLast() }
        },
    ]

    /// The use that is made of blocks.
    static let blocks: [Damage] = [
        .bytes("a byte of a leaf", "block.hash", at: "leaf1") { $0.flip("leaf1", 16000) },
        .bytes("a byte of unused space", "block.hash", at: "leaf2") { $0.flip("leaf2", 8000) },
        .bytes("a byte of a pivot", "block.hash", at: "root") { $0.flip("root", 16300) },
        .bytes("a byte of the snapshot tree", "block.hash", at: "snapshotRoot") {
            $0.flip("snapshotRoot", 16300)
        },
        .bytes("a byte of file data", "block.hash", at: "data a1") { $0.flip("data a1", 5000) },
        .bytes("a data block of zeros", "block.hash", at: "data b0") {
            $0.change("data b0") { $0.storeZeros(from: 0, to: Geometry.blockBytes) }
        },
        .bytes("two data blocks exchanged", "block.hash", at: "data a2") {
            $0.exchange("data a1", "data a2")
        },
        .node("leaf0", "data on the superblock", "block.outside") { base in
            base.value(1).storeBigEndian(UInt64(0), at: 0)
        },
        .node("leaf0", "data at an odd address", "block.outside") { base in
            let address = base.value(1).loadBigEndian(at: 0, as: UInt64.self)
            base.value(1).storeBigEndian(address + 8, at: 0)
        },
        .node("root", "a child beyond the device", "block.outside") { base in
            base.value(2).storeBigEndian(UInt64(1) << 40, at: 0)
        },
        .plan("a leaf that is free", "block.markedFree", at: "leaf0") { $0.unlogged = ["leaf0"] },
        .plan("data that is free", "block.markedFree", at: "data a0") { $0.unlogged = ["data a0"] },
        .plan("a deadlist that is free", "block.markedFree", at: "deadlist (5, 3)") {
            $0.unlogged = ["deadlist (5, 3)"]
        },
        .node("leaf0", "data of two files", "block.usedTwice") { base in
            (base.value(3)).copyMemory(
                from: UnsafeRawPointer(base.value(2)), byteCount: BlockPointer.byteCount)
        },
        .plan("a node that is a deadlist, too", "block.usedTwice", at: "root") {
            $0.tamper["snapshotRoot"] = { base in
                for end in [0, BlockPointer.byteCount] {
                    (base.value(8) + end).copyMemory(
                        from: base.value(7) + 48, byteCount: BlockPointer.byteCount)
                }
            }
        },
        .node("leaf0", "data from the future", "block.bornInFuture") { base in
            base.value(0).storeBigEndian(UInt64(7), at: 16)
        },
        .node("root", "a node from the future", "block.bornInFuture") { base in
            base.value(0).storeBigEndian(UInt64(700), at: 16)
        },
        .node("root", "two births of a node", "block.births", isSeenByOracle: false) { base in
            base.value(1).storeBigEndian(UInt64(2), at: 16)
        },
        .plan("leaked blocks", "space.leaked") { $0.leakedCount = 3 },
    ]
}
