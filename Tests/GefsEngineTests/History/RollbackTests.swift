import GefsFormat
import Testing

@testable import GefsEngine

/// A branch goes back while somebody is attached to it.
@Suite
struct RollbackTests {
    private let main = Array("main".utf8)
    private let old = Array("old".utf8)
    private let left = Array("left".utf8)

    @Test func `those who are attached see the old tree at once`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("dir")
        try volume.makeFile("dir/kept", Array("as it was".utf8))
        try volume.makeFile("removed", Array("is back".utf8))
        try volume.change(.snapshot(of: main, as: old))
        let kept = try volume.walk("dir/kept")
        try volume.fileSystem.open(kept, OpenMode(.readWrite), as: volume.caller)
        try volume.write(kept, Array("overwritten, and longer".utf8), at: 0)
        try volume.remove("removed")
        try volume.makeFile("new", Array("new".utf8))
        let new = try volume.walk("new")
        try volume.fileSystem.open(new, OpenMode(.read), as: volume.caller)
        let root = try volume.root()

        try volume.change(.rollback(branch: main, to: old, keeping: left))

        #expect(try volume.read(kept, count: 100) == Array("as it was".utf8))
        #expect(try volume.list("").sorted() == ["dir", "removed"])
        #expect(try volume.read("removed") == Array("is back".utf8))
        #expect(throws: FileError.removed) { try volume.read(new, count: 3) }
        #expect(throws: FileError.removed) {
            try volume.fileSystem.status(new, as: volume.caller)
        }
        try volume.write(kept, Array("AS".utf8), at: 0)
        for handle in [kept, new, root] { volume.fileSystem.close(handle) }
        #expect(try volume.read("dir/kept") == Array("AS it was".utf8))
        volume.label = "left"
        #expect(try volume.list("").sorted() == ["dir", "new"])
        #expect(try volume.read("dir/kept") == Array("overwritten, and longer".utf8))
        volume.label = "old"
        #expect(try volume.read("dir/kept") == Array("as it was".utf8))
        try volume.reopen()
        volume.label = "main"
        #expect(try volume.read("dir/kept") == Array("AS it was".utf8))
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test func `what is left behind without a label goes, but not before its readers`() throws {
        let volume = try TestVolume()
        try volume.makeFile("file", [UInt8](repeating: 1, count: 50_000))
        try volume.change(.snapshot(of: main, as: old))
        try volume.write("file", [UInt8](repeating: 2, count: 50_000), at: 0)
        try volume.sync()
        let used = volume.fileSystem.space().used
        let reader = try volume.fileSystem.pin(main)
        try volume.change(.rollback(branch: main, to: old, keeping: nil))
        try volume.fileSystem.drainHistory()
        #expect(try volume.read("file") == [UInt8](repeating: 1, count: 50_000))
        // The reader's tree is still whole.
        let key = Key.data(try volume.status("file").qid.path, block: 1)
        let pointer = try #require(
            try volume.fileSystem.volume.lookup(key, in: reader.root, mayBlock: true))
        let block = try pointer.withUnsafeBytes {
            BlockPointer(decoding: try #require($0.baseAddress))
        }
        #expect(volume.fileSystem.volume.isAllocated(block.address))
        withExtendedLifetime(reader) {}
        #expect(used > 0)
    }

    @Test func `a branch that nobody has opened goes back as well`() throws {
        let volume = try TestVolume()
        let fork = Array("fork".utf8)
        try volume.makeFile("file", [1])
        try volume.change(.fork(of: main, as: fork))
        try volume.makeFile("later", [2])
        try volume.change(.snapshot(of: main, as: old))
        try volume.reopen()
        try volume.change(.rollback(branch: fork, to: old, keeping: nil))
        volume.label = "fork"
        #expect(try volume.list("").sorted() == ["file", "later"])
        try volume.change(.delete(fork), .delete(old))
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    @Test func `a snapshot is no branch, and what is not there cannot be gone back to`() throws {
        let volume = try TestVolume()
        try volume.change(.snapshot(of: main, as: old))
        #expect(throws: FileError.label(.immutable, old)) {
            try volume.change(.rollback(branch: old, to: main, keeping: nil))
        }
        #expect(throws: FileError.label(.unknown, left)) {
            try volume.change(.rollback(branch: main, to: left, keeping: nil))
        }
        #expect(throws: FileError.label(.exists, old)) {
            try volume.change(.rollback(branch: main, to: old, keeping: old))
        }
    }
}
