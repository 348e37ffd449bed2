import GefsFormat

@testable import GefsEngine

extension Damage {
    /// Labels and snapshot records.
    static let snapshots: [Damage] = [
        .plan("no label adm", "snapshot.labelMissing") {
            $0.labels.remove(at: 0)
        },
        .plan("a label of a snapshot that is gone", "snapshot.labelDangling") {
            $0.labels.append(VolumePlan.label("lost", 4))
        },
        .plan("a label with unknown flags", "snapshot.labelFlags") {
            let record = LabelRecord(generation: Generation(rawValue: 3), flags: 0x100)
            $0.labels[3].value = record.encoded()
        },
        .node("snapshotRoot", "a label of something else", "snapshot.record") { base in
            base.value(0).storeBytes(of: 5, as: UInt8.self)
        },
        .node("snapshotRoot", "a record of another generation", "snapshot.generation") { base in
            base.value(6).storeBigEndian(UInt64(4), at: 16)
        },
        .plan("a generation that is not handed out", "snapshot.generation") {
            $0.nextGeneration = 5
        },
        .plan("a wrong count of labels", "snapshot.labelCount") {
            $0.snapshots[$0.place(5)].labelCount = 2
        },
        .plan("a snapshot that nothing needs", "snapshot.unreferenced") {
            $0.labels.removeLast()
            $0.snapshots[$0.place(3)].labelCount = 0
            $0.snapshots[$0.place(3)].referenceCount = 0
        },
        .plan("a predecessor that is gone", "snapshot.linkDangling") {
            $0.snapshots[$0.place(3)].predecessor = Generation(rawValue: 2)
        },
        .plan("a link for a snapshot that is gone", "snapshot.message") {
            let key = Key.snapshot(Generation(rawValue: 4))
            $0.snapshotMessages = [(.relink, key, [UInt8](repeating: 0, count: 10))]
        },
        .plan("more labels taken off than there are", "snapshot.message") {
            // The successor is 5, and the count of labels goes down by 2.
            let key = Key.snapshot(Generation(rawValue: 3))
            $0.snapshotMessages = [(.relink, key, [0, 0, 0, 0, 0, 0, 0, 5, 0xfe, 0])]
        },
        .plan("a successor that is gone", "snapshot.linkDangling") {
            $0.snapshots[$0.place(5)].successor = Generation(rawValue: 6)
        },
    ]

    /// Blocks that snapshots cannot have, where they stand in history.
    static let lines: [Damage] = [
        .node("oldLeaf", "data born after its snapshot", "block.bornLater", isSeenByOracle: false) {
            base in
            base.value(0).storeBigEndian(UInt64(4), at: 16)
        },
        .node("oldRoot", "a node born after its snapshot", "block.bornLater", isSeenByOracle: false)
        { base in
            base.value(0).storeBigEndian(UInt64(4), at: 16)
        },
        .node("leaf0", "data born too early", "block.notInherited", isSeenByOracle: false) { base in
            base.value(0).storeBigEndian(UInt64(2), at: 16)
        },
        .plan(
            "nodes of two lines", "block.ownedTwice", at: "leaf1", isSeenByOracle: false
        ) { $0.snapshots[$0.place(5)].predecessor = .zero },
        .plan(
            "data of two lines", "block.ownedTwice", at: "data a0 old", isSeenByOracle: false
        ) { $0.addFork(of: 0, holding: "data a0 old") },
        .plan(
            "a tree that the predecessor has left", "block.notInherited", at: "oldRoot",
            isSeenByOracle: false
        ) { $0.addFork(of: 5, root: "oldRoot", height: 2) },
        .plan(
            "a tree that the predecessor has put on a list", "deadlist.entryHeld", at: "oldRoot",
            isSeenByOracle: false
        ) { $0.addFork(of: 5, root: "oldRoot", height: 2) },
    ]

    /// Lists of dead blocks.
    static let deadlists: [Damage] = [
        .plan("a list of no snapshot", "deadlist.noSnapshot") {
            $0.deadlists.append((4, 3, []))
        },
        .plan("a list of blocks born when they died", "deadlist.generations") {
            $0.deadlists = [(5, 5, [])]
        },
        .node("snapshotRoot", "a list without a tail", "deadlist.ends") { base in
            base.value(8).storeBigEndian(UInt64.max, at: BlockPointer.byteCount)
        },
        .node("snapshotRoot", "another tail", "deadlist.tailNotReached") { base in
            let head = base.value(8).loadBigEndian(at: 0, as: UInt64.self)
            base.value(8).storeBigEndian(head - 0x4000, at: BlockPointer.byteCount)
        },
        .node("snapshotRoot", "a list outside the arenas", "block.outside") { base in
            base.value(8).storeBigEndian(UInt64(0), at: 0)
        },
        .bytes("an entry of a list", "deadlist.damaged", at: "deadlist (5, 3)") {
            $0.flip("deadlist (5, 3)", 40)
        },
        .bytes("the kind of a list block", "deadlist.damaged", at: "deadlist (5, 3)") {
            $0.flip("deadlist (5, 3)", 1)
        },
        .bytes("a tail that leads on", "deadlist.tailChained", at: "deadlist (5, 3)") {
            let next = ForgedVolume.link($0.address("leaf0").rawValue)
            $0.change("deadlist (5, 3)") { ChainBlockBuilder.setNext(next, in: $0) }
        },
        .bytes("a tail that leads nowhere", "deadlist.tailChained", at: "deadlist (5, 3)") {
            let next = ForgedVolume.link(5)
            $0.change("deadlist (5, 3)") { ChainBlockBuilder.setNext(next, in: $0) }
        },
        .plan("an entry outside the arenas", "deadlist.entryOutside", at: "primary") {
            $0.deadlists[0].entries.append("primary")
        },
        .plan("an entry that is free", "deadlist.entryFree", at: "data a0 old") {
            $0.unlogged = ["data a0 old"]
        },
        .plan("an entry twice on a list", "deadlist.entryTwice", at: "oldRoot") {
            $0.deadlists[0].entries.append("oldRoot")
        },
        .plan("an entry on two lists", "deadlist.entryTwice", at: "oldRoot") {
            $0.deadlists.append((5, 2, ["oldRoot"]))
        },
        .plan("a node that is in use", "deadlist.entryHeld", at: "leaf2") {
            $0.deadlists[0].entries.append("leaf2")
        },
        .plan("data that is in use", "deadlist.entryHeld", at: "data b0") {
            $0.deadlists[0].entries.append("data b0")
        },
        .plan("an entry born in another generation", "deadlist.entryBirth", at: "oldRoot") {
            $0.deadlists = [(5, 2, ["oldRoot"]), (5, 3, ["oldLeaf", "data a0 old"])]
        },
        .plan("an entry that nobody held", "deadlist.entryNotHeld", at: "leak0") {
            $0.leakedCount = 1
            $0.deadlists[0].entries.append("leak0")
        },
        .plan(
            "a list block on a list", "deadlist.entryUsed", at: "deadlist (5, 3)",
            isSeenByOracle: false
        ) { $0.deadlists.append((5, 2, ["deadlist (5, 3)"])) },
        .plan(
            "a block of the log on a list", "deadlist.entryUsed", at: "log0", isSeenByOracle: false
        ) { $0.deadlists[0].entries.append("log0") },
        .plan(
            "a block of another snapshot", "deadlist.entryUsed", at: "adminLeaf",
            isSeenByOracle: false
        ) { $0.deadlists.append((5, 0, ["adminLeaf"])) },
        .plan(
            "an entry that a later snapshot has again", "deadlist.entryHeld", at: "data a0 old",
            isSeenByOracle: false
        ) { $0.addFork(of: 5, holding: "data a0 old") },
        .plan(
            "a block of the log on the pending list", "deadlist.pendingUsed", at: "log1",
            isSeenByOracle: false
        ) { $0.pending = ["log1"] },
        .plan("an entry of a list on the pending list", "deadlist.entryTwice", at: "oldRoot") {
            $0.pending = ["oldRoot"]
        },
        .plan("a pending block in use", "deadlist.pendingUsed", at: "leaf1", isSeenByOracle: false)
        { $0.pending = ["leaf1"] },
    ]
}
