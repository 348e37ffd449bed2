import GefsFormat
import Testing

@testable import GefsEngine

@Suite struct HierarchyTableTests {
    private func file(_ qid: UInt64) -> DirectoryEntry {
        DirectoryEntry(qidPath: qid, mode: 0o644, uid: 0, gid: 0, muid: 0)
    }

    @Test func `slots survive growth, and empty ones go`() {
        let table = HierarchyTable()
        for qid in UInt64(0)..<5000 {
            table.add(entry: file(qid), parent: qid / 10, length: qid, keyHash: qid)
        }
        table.settle()
        for qid in UInt64(0)..<5000 {
            #expect(table.slot(qid)?.length == qid)
            #expect(table.slot(qid)?.childCount == (qid < 500 ? 10 : 0))
        }
        for qid in UInt64(0)..<5000 { table.remove(entry: file(qid), parent: qid / 10) }
        table.settle()
        for qid in UInt64(10_000)..<20_000 {
            table.add(entry: file(qid), parent: .max, length: 0, keyHash: 0)
        }
        #expect(table.slot(17) == nil || table.slot(17)?.isEmpty == true)
        #expect(table.rootCount == 10_000)
        #expect(table.dirty.count == 10_000)
    }

    @Test func `the last offset is known as long as one block is there`() {
        let table = HierarchyTable()
        table.add(entry: file(1), parent: .max, length: 3, keyHash: 0)
        table.add(data: 1, offset: 0)
        #expect(table.slot(1)?.needsCount == false)
        table.add(data: 1, offset: 16384)
        #expect(table.slot(1)?.needsCount == true)
        // The same block again from another leaf, and away from the first.
        table.add(data: 1, offset: 16384)
        table.remove(data: 1, offset: 16384)
        #expect(table.slot(1)?.lastOffset == 16384)
        table.remove(data: 1, offset: 16384)
        #expect((table.slot(1)?.flags ?? 0) & HierarchyTable.Slot.unknownEnd != 0)
        #expect(table.slot(1)?.needsCount == true)
    }
}
