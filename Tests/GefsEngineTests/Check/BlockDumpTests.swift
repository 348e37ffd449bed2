import Foundation
import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct BlockDumpTests {
    private func dump(_ name: String, _ volume: ForgedVolume = ForgedVolume()) throws -> BlockDump {
        try BlockDump(volume.address(name), on: MemoryDevice(volume.image))
    }

    @Test func `a superblock shows its fields and arenas`() throws {
        let text = try dump("backup").description
        #expect(text.contains("superblock\n  commit 10, next generation 7, next qid 20"))
        #expect(text.contains("  arena 1 at 0x10c000"))
    }

    @Test func `an arena header shows size and log`() throws {
        #expect(try dump("header0").description.contains("  log at 0xc000, stale hash 0x0\n"))
        #expect(try dump("footer0").description.contains("0x100000 bytes"))
    }

    @Test func `a log shows its entries`() throws {
        let lines = try dump("log1").description.split(separator: "\n")
        #expect(lines[1] == "  free 0x114000+0xf8000")
        #expect(lines[2] == "  allocate 0x114000+0x4000")
        #expect(lines.last == "  sync 10")
    }

    @Test func `a deadlist shows what is dead`() throws {
        let volume = ForgedVolume()
        let text = try dump("deadlist (5, 3)", volume).description
        #expect(text.contains("\n  dead \(volume.address("oldRoot"))\n"))
    }

    @Test func `a leaf shows keys and values`() throws {
        let text = try dump("leaf1").description
        #expect(text.contains(": leaf, hash 0x"))
        #expect(text.contains("0: entry \"a\" in 0 → qid 10.0 type 0x0 mode 0664 length 49147 "))
        #expect(text.contains("5: entry \"\" the root → qid 0.0 type 0x80 mode 020000000775 "))
        let other = try dump("snapshotRoot").description
        #expect(other.contains("2: label \"main\" → snapshot 5, flags 0x1"))
        #expect(other.contains("7: snapshot 5 → generation 5 references 0 labels 1 height 2 "))
        #expect(other.contains("8: deadlist (5, 3) → from ("))
        #expect(try dump("leaf2").description.contains("3: config \"retain\" → \"7d\""))
    }

    @Test func `a pivot shows children and messages`() throws {
        let volume = ForgedVolume()
        let text = try dump("root", volume).description
        #expect(text.contains("1: entry \"a\" in 0 → (\(volume.address("leaf1")), 0x"))
        #expect(text.contains("message 0: wstat entry \"a\" in 0 touch"))
        #expect(text.contains("message 1: insert entry \"new\" in 0 qid 15.0 "))
    }

    @Test func `data is shown as bytes, and equal lines once`() throws {
        let text = try dump("data a0").description
        #expect(text.contains("\n  0000  6461746120613000"))
        #expect(text.contains("(511 times)"))
    }

    @Test func `what is damaged is said to be`() throws {
        var volume = ForgedVolume()
        volume.flip("log0", 50)
        #expect(
            try dump("log0", volume).description.contains("corrupt allocation log: block 0xc000"))
        var plan = VolumePlan()
        plan.tamper["leaf1"] = { $0.swap16(Geometry.leafHeaderBytes, Geometry.leafHeaderBytes + 2) }
        let text = try dump("leaf1", ForgedVolume(plan)).description
        #expect(text.contains("corrupt: record 1: key not above the one before"))
    }

    @Test func `a dump is encoded without a level for its kind`() throws {
        let data = try JSONEncoder().encode(try dump("leaf2"))
        let object = try #require(
            JSONSerialization.jsonObject(with: data) as? [String: any Sendable])
        #expect(object["type"] as? String == "leaf")
        #expect((object["records"] as? [Any])?.count == 4)
    }

    @Test func `a volume shows arenas, logs and trees`() throws {
        let volume = ForgedVolume()
        let dump = try VolumeDump(MemoryDevice(volume.image))
        #expect(dump.superblock.address == "0x0")
        #expect(dump.arenas[1].description.contains("56 of 64 blocks free, log 0x114000"))
        #expect(try dump.log(ofArena: 1)?.count == 1)
        #expect(try dump.log(ofArena: 2) == nil)
        #expect(dump.snapshotTree().nodes.count == 1)
        let tree = try #require(dump.tree(label: Array("old".utf8)))
        #expect(tree.nodes.map(\.depth) == [0, 1, 1, 1])
        #expect(tree.nodes.map(\.type) == ["pivot", "leaf", "leaf", "leaf"])
        #expect(dump.tree(label: Array("main".utf8), depth: 1)?.nodes.count == 1)
        #expect(dump.tree(generation: Generation(rawValue: 1))?.nodes.count == 1)
        #expect(dump.tree(label: Array("none".utf8)) == nil)
    }

    @Test func `the superblock in use is the backup when the primary is damaged`() throws {
        var volume = ForgedVolume()
        volume.flip("primary", 30)
        let dump = try VolumeDump(MemoryDevice(volume.image))
        #expect(dump.superblock.address == volume.address("backup").description)
        #expect(dump.findings.count == 1)
        volume.flip("backup", 30)
        #expect(throws: VolumeDump.Unusable.self) {
            try VolumeDump(MemoryDevice(volume.image))
        }
    }
}
