import GefsFormat
import Testing

@testable import GefsEngine

/// Restores on disks of the original: with junk in entries, stale tails, garbage and buffered messages.
@Suite(.enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
struct RestoreReferenceTests {
    private struct Traits: Equatable {
        var mode: UInt32
        var uid: Int32
        var gid: Int32
        var muid: Int32
        var modified: Int64
        var length: Int64
        var contents: UInt64
    }

    /// A sum over the blocks that are no holes, without what lies beyond the end.
    private func contents(
        _ fileSystem: FileSystem, _ file: PlacedFile, _ contents: FileContents
    ) throws -> UInt64 {
        var sum: UInt64 = 0
        let end = Geometry.blockCount(coveringBytes: file.length)
        try contents.forEachBlock(0..<end) { (index, pointer) throws(FileError) -> Void in
            let block = try fileSystem.volume.readData([pointer], mayBlock: true)[0]
            let rest = file.length - index * UInt64(Geometry.blockBytes)
            let count = Int(min(rest, UInt64(Geometry.blockBytes)))
            let bytes = UnsafeRawBufferPointer(rebasing: block.bytes[..<count])
            sum = sum &* 31 &+ MetroHash64.hash(bytes, seed: index)
        }
        return sum
    }

    private func traits(
        _ fileSystem: FileSystem, _ label: [UInt8]
    ) throws -> [[[UInt8]]: Traits] {
        let files = TreeFiles(fileSystem.volume, try fileSystem.pin(label))
        var found: [[[UInt8]]: Traits] = [:]
        var directories: [(UInt64, [[UInt8]])] = [(try files.rootDirectory().qid, [])]
        while let (qid, path) = directories.popLast() {
            for file in try files.children(of: qid) {
                let child = path + [file.name]
                var hash: UInt64 = 0
                if file.isDirectory {
                    directories.append((file.qid, child))
                } else {
                    hash = try contents(fileSystem, file, FileContents(files: files, qid: file.qid))
                }
                let entry = file.entry
                found[child] = Traits(
                    mode: entry.mode, uid: entry.uid, gid: entry.gid, muid: entry.muid,
                    modified: entry.modificationTime, length: entry.length, contents: hash)
            }
        }
        return found
    }

    @Test(arguments: ReferenceImages.names)
    func `main becomes what each of its snapshots is, and the disk stays whole`(
        name: String
    ) throws {
        try ReferenceImages.withImage(name) { path in
            var options = TestVolume.options
            // What the original left to be dropped goes first.
            let first = try FileSystem.open(
                try FileDevice(path: path, access: .readWrite), options: options)
            try first.drainHistory()
            try first.close()
            let before = Checker.check(try FileDevice(path: path, access: .readOnly))
            // Some files are staged, others not.
            options.transplantBytesMax = 1 << 20
            let fileSystem = try FileSystem.open(
                try FileDevice(path: path, access: .readWrite), options: options)
            let caller = Caller(user: .adm, isPermissive: true)
            let main = Array("main".utf8)
            var restore = RestoreOptions()
            restore.deletesNew = true
            let files = TreeFiles(fileSystem.volume, try fileSystem.pin(main))
            let root = try files.rootDirectory().qid
            let labels = try fileSystem.labels().filter { $0.name != main }
            // A few of many.
            let step = max(1, labels.count / 6)
            for label in stride(from: 0, to: labels.count, by: step).map({ labels[$0] }) {
                let other = TreeFiles(fileSystem.volume, try fileSystem.pin(label.name))
                // adm is another tree.
                guard try other.rootDirectory().qid == root else { continue }
                let present = try traits(fileSystem, main)
                var isFull = false
                do {
                    _ = try fileSystem.restore(
                        [[]], from: label.name, into: main, options: restore, as: caller)
                } catch let error as RestoreError where error.fault == .volumeFull {
                    isFull = true
                }
                let wanted = isFull ? present : try traits(fileSystem, label.name)
                let isEqual = try traits(fileSystem, main) == wanted
                #expect(isEqual, "\(String(decoding: label.name, as: UTF8.self))")
                if isFull { continue }
                let again = try fileSystem.restore(
                    [[]], from: label.name, into: main, options: restore, as: caller)
                #expect(again.items.isEmpty, "\(String(decoding: label.name, as: UTF8.self))")
            }
            fileSystem.drainReclaims()
            try fileSystem.close()
            let after = Checker.check(try FileDevice(path: path, access: .readOnly))
            #expect(after.errorCount == 0, "\(after.findings.prefix(5))")
            #expect(after.totals.leakedBlocks <= before.totals.leakedBlocks)
        }
    }
}
