import GefsFormat
import Testing

@testable import GefsEngine

/// What only dropped snapshots held waits for those who still read it, and for nobody else.
@Suite
struct DroppedSnapshotTests {
    private let main = Array("main".utf8)
    private let fork = Array("fork".utf8)
    private let snapshot = Array("snapshot".utf8)

    /// A volume whose label `snapshot` alone holds what a file was; and a block of that.
    private func volume(
        _ beforeChange: (TestVolume) throws -> Void
    ) throws -> (volume: TestVolume, address: BlockAddress) {
        let volume = try TestVolume()
        try volume.makeFile("file", [UInt8](repeating: 1, count: 50_000))
        try volume.change(.fork(of: main, as: fork))
        try volume.write("file", [UInt8](repeating: 2, count: 50_000), at: 0)
        try volume.change(.snapshot(of: main, as: snapshot))
        let key = Key.data(try volume.status("file").qid.path, block: 1)
        let record = try #require(
            volume.fileSystem.volume.history.read { $0.record(ofLabel: snapshot) })
        let root = TreeRoot(pointer: record.root, height: Int(record.height))
        let pointer = try #require(
            try volume.fileSystem.volume.lookup(key, in: root, mayBlock: true))
        let block = try pointer.withUnsafeBytes {
            BlockPointer(decoding: try #require($0.baseAddress))
        }
        try beforeChange(volume)
        try volume.write("file", [UInt8](repeating: 3, count: 50_000), at: 0)
        try volume.sync()
        return (volume, block.address)
    }

    @Test func `a reader who began before the snapshot was left keeps what it holds`() throws {
        var reader: PinnedTree?
        let (volume, address) = try volume { reader = try $0.fileSystem.pin(main) }
        try volume.change(.delete(snapshot))
        try volume.fileSystem.drainHistory()
        #expect(volume.fileSystem.volume.isAllocated(address))
        withExtendedLifetime(reader) {}
        reader = nil
        try volume.fileSystem.volume.syncAndReclaim(evenIfClean: true)
        #expect(!volume.fileSystem.volume.isAllocated(address))
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test func `readers of other trees, and of later ones, hold nothing back`() throws {
        let (volume, address) = try volume { _ in }
        let readers = [
            try volume.fileSystem.pin(main), try volume.fileSystem.pin(fork),
        ]
        let root = try volume.root("empty")
        try volume.change(.delete(snapshot))
        try volume.fileSystem.drainHistory()
        #expect(!volume.fileSystem.volume.isAllocated(address))
        withExtendedLifetime(readers) {}
        volume.fileSystem.close(root)
    }

    @Test func `a branch that nobody uses is forgotten by the next commit`() throws {
        let volume = try TestVolume()
        try volume.change(.fork(of: main, as: fork))
        func isOpen() -> Bool {
            volume.fileSystem.volume.lock.locked {
                volume.fileSystem.volume.branches[fork] != nil
            }
        }
        let first = try volume.root("fork")
        let second = try volume.root("fork")
        volume.fileSystem.close(first)
        try volume.fileSystem.volume.syncAndReclaim(evenIfClean: true)
        #expect(isOpen())
        volume.fileSystem.close(second)
        try volume.fileSystem.volume.syncAndReclaim(evenIfClean: true)
        #expect(!isOpen())
        volume.label = "fork"
        try volume.makeFile("file", [1])
        try volume.fileSystem.volume.syncAndReclaim()
        #expect(!isOpen())
        #expect(try volume.read("file") == [1])
    }

    @Test func `the directory of labels lists each of many once`() throws {
        let volume = try TestVolume()
        let names = (0..<Dump.labelsAtOnce * 2).map { "label\(1000 + $0)" }
        try volume.fileSystem.change(
            names.map { .snapshot(of: main, as: Array($0.utf8)) }, as: volume.caller)
        volume.label = "dump"
        #expect(try volume.list("").sorted() == ["adm", "empty"] + names + ["main"])
    }
}
