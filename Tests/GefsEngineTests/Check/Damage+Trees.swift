import GefsFormat

@testable import GefsEngine

extension Damage {
    // Fields of node headers, and where the tables start (FORMAT 6.2).
    private static let count = 2
    private static let recordBytes = 4
    private static let messageCount = 6
    private static let leafTable = Geometry.leafHeaderBytes
    private static let messageTable = Geometry.pivotHeaderBytes + Geometry.pivotSpaceBytes
    private static let fillOffset = BlockPointer.byteCount

    /// What nodes hold, with hashes that fit.
    static let nodes: [Damage] = [
        .node("leaf1", "a kind that is none", "node.undecodable") { base in
            base.storeBigEndian(UInt16(7), at: 0)
        },
        .node("leaf1", "too many records", "node.undecodable") { base in
            base.storeBigEndian(UInt16(9000), at: count)
        },
        .node("leaf2", "more records than are there", "node.undecodable") { base in
            base.storeBigEndian(UInt16(40), at: count)
        },
        .node("leaf1", "a wrong size of the records", "node.undecodable") { base in
            base.storeBigEndian(base.loadBigEndian(at: recordBytes, as: UInt16.self) + 1, at: 4)
        },
        .node("leaf1", "a record past the end", "node.undecodable") { base in
            base.storeBigEndian(UInt16.max, at: leafTable)
        },
        .node("leaf1", "a key past the end", "node.undecodable") { base in
            (base.key(0) - 2).storeBigEndian(UInt16.max, at: 0)
        },
        .node("root", "a message past the end", "node.undecodable") { base in
            base.storeBigEndian(UInt16(8180), at: messageTable)
        },
        .node("root", "too many messages", "node.undecodable") { base in
            base.storeBigEndian(UInt16.max, at: messageCount)
        },
        .node("leaf2", "a leaf without records", "node.empty") { base in
            base.storeBigEndian(UInt32(0), at: count)
        },
        .node("leaf1", "keys exchanged", "node.keyOrder") { base in
            base.swap16(leafTable, leafTable + 2)
        },
        .node("root", "children exchanged", "node.keyOrder") { base in
            base.swap16(Geometry.pivotHeaderBytes, Geometry.pivotHeaderBytes + 2)
        },
        .node("root", "messages exchanged", "node.messageOrder") { base in
            base.swap16(messageTable, messageTable + 2)
        },
        .node("root", "a message of an unknown kind", "node.messageKind") { base in
            let offset = Int(base.loadBigEndian(at: messageTable, as: UInt16.self))
            base.storeBytes(of: 99, toByteOffset: messageTable + offset, as: UInt8.self)
        },
        .node("leaf1", "a key of the snapshot tree", "node.foreignKey") { base in
            base.key(5).storeBytes(of: 3, as: UInt8.self)
        },
        .node("snapshotRoot", "a key of a file tree", "node.foreignKey") { base in
            base.key(0).storeBytes(of: 1, as: UInt8.self)
        },
        .node("leaf2", "a way up to no entry", "node.record") { base in
            base.value(0).storeBytes(of: 9, as: UInt8.self)
        },
        .node("leaf1", "an entry key without its end", "node.record") { base in
            base.key(0).storeBytes(of: 1, toByteOffset: 12, as: UInt8.self)
        },
        .plan("an overlong value", "node.oversized", at: "leaf2") {
            $0.tamper["leaf2"] = { base in
                // The last record of the table is the first in the heap: 600 bytes of room.
                let place = Geometry.leafHeaderBytes + 2 * 3
                let start = Int(base.loadBigEndian(at: place, as: UInt16.self)) - 600
                let record = base + Geometry.leafHeaderBytes + start
                base.storeBigEndian(UInt16(start), at: place)
                let bytes = base.loadBigEndian(at: recordBytes, as: UInt16.self)
                base.storeBigEndian(bytes + 600, at: recordBytes)
                let key = Key.config("retain".utf8)
                record.storeBigEndian(UInt16(key.bytes.count), at: 0)
                key.withBytes { record.storeBytes(of: $0, at: 2) }
                record.storeBigEndian(UInt16(602), at: 2 + key.bytes.count)
            }
        },
        .plan("a wrong fill in the parent", "node.fill", at: "leaf1") {
            $0.tamper["root"] = { base in
                let value = base.value(1)
                let fill = value.loadBigEndian(at: fillOffset, as: UInt16.self)
                value.storeBigEndian(fill + 1, at: fillOffset)
            }
        },
        .plan("pointers exchanged", "node.range", at: "leaf2") {
            $0.tamper["root"] = { base in
                let value = [UInt8](
                    UnsafeRawBufferPointer(start: base.value(1), count: Geometry.pivotValueBytes))
                base.value(1).copyMemory(
                    from: base.value(2), byteCount: Geometry.pivotValueBytes)
                value.withUnsafeBytes { base.value(2).storeBytes(of: $0, at: 0) }
            }
        },
        .plan("a bound above what is below it", "node.range", at: "leaf1") {
            $0.tamper["root"] = { base in
                base.key(1).storeBytes(of: 0xff, toByteOffset: 8, as: UInt8.self)
            }
        },
        .plan("a leaf under a tree that is too high", "node.height", at: "leaf0") {
            $0.snapshots[$0.place(5)].height = 3
        },
        .plan("a pivot in a tree of one level", "node.height", at: "root") {
            $0.snapshots[$0.place(5)].height = 1
        },
        .plan("a tree without levels", "node.treeHeight", at: "root") {
            $0.snapshots[$0.place(5)].height = 0
        },
        .plan("a pivot with one child", "node.oneChild", at: "lonePivot") {
            $0.hasLoneChild = true
            $0.snapshots[$0.place(5)].height = 3
        },
        .plan("a tree of a thousand levels", "node.treeHeight", at: "root") {
            $0.snapshots[$0.place(5)].height = 1000
        },
    ]

    /// Files that do not fit together.
    static let files: [Damage] = [
        .plan("a touch of a file that is not there", "files.message") {
            $0.messages[0].key = .entry(parent: 0, name: "aa".utf8)
            $0.messages.sort { $0.key < $1.key }
        },
        .plan("an entry that is too short", "files.entry") {
            $0.leaves[1][1].value.removeLast()
        },
        .plan("an entry that is too short, in a message", "files.entry") {
            $0.messages[1].payload.removeLast()
        },
        .plan("two entries with one qid", "files.duplicateQid") {
            $0.leaves[1].append(VolumePlan.file(0, "c", qid: 11, length: 0))
        },
        .plan("a qid that is not handed out", "files.qidRange") {
            $0.leaves[1].append(VolumePlan.file(0, "c", qid: 20, length: 0))
        },
        .plan("another type than the mode", "files.qidType") {
            // Byte 20 is the type (FORMAT 7.1).
            $0.leaves[1][1].value[20] = 0x40
        },
        .plan("a name with a slash", "files.name") {
            $0.leaves[1].append(VolumePlan.file(0, "c/d", qid: 16, length: 0))
        },
        .plan("the name ..", "files.name") {
            $0.leaves[1].append(VolumePlan.file(0, "..", qid: 16, length: 0))
        },
        .plan("no name", "files.name") {
            $0.leaves[1].append(VolumePlan.file(0, "", qid: 16, length: 0))
        },
        .plan("no root", "files.root") { $0.leaves[1].removeLast() },
        .plan("a second root", "files.root") {
            $0.leaves[1].append(VolumePlan.directory(.max, "other", qid: 16))
            $0.leaves[2].append(VolumePlan.up(16, to: .max, "other"))
        },
        .plan("files in a file", "files.noDirectory") {
            $0.leaves[1].append(VolumePlan.file(11, "c", qid: 16, length: 0))
        },
        .plan("files in nothing", "files.noDirectory") {
            $0.leaves[1].append(VolumePlan.file(17, "c", qid: 16, length: 0))
        },
        .plan("a way up to another name", "files.up") {
            $0.leaves[2][1] = VolumePlan.up(12, to: 0, "dirt")
        },
        .plan("a directory without a way up", "files.up") { $0.leaves[2].remove(at: 2) },
        .plan("a way up from a file", "files.strayUp") {
            $0.leaves[2].append(VolumePlan.up(11, to: 0, "b"))
        },
        .plan("a directory within itself", "files.unreachable") {
            $0.leaves[1][2] = VolumePlan.directory(13, "dir", qid: 12)
            $0.leaves[2][1] = VolumePlan.up(12, to: 13, "dir")
        },
        .plan("a directory with data", "files.directoryData") {
            $0.leaves[1].remove(at: 1)
            $0.leaves[1].append(VolumePlan.directory(0, "bb", qid: 11))
            $0.leaves[2].append(VolumePlan.up(11, to: 0, "bb"))
        },
        .plan("data of a removed file", "files.orphanData") { $0.leaves[1].remove(at: 1) },
        .plan("data past the end", "files.dataPastEnd") {
            $0.leaves[1][0] = VolumePlan.file(0, "a", qid: 10, length: 2 * blockBytes)
        },
        .node("leaf0", "data at an unaligned offset", "files.dataOffset") { base in
            base.key(1).storeBigEndian(UInt64(Geometry.blockBytes + 1), at: 9)
        },
        .plan("a length beyond counting", "files.fileLength") {
            // Byte 41 is the first of the length.
            $0.leaves[1][4].value[41] = 0x80
        },
    ]

    private static let blockBytes = VolumePlan.blockBytes
}
