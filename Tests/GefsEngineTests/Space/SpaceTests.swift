import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

/// What the engine says of its space, held against what walking all trees shows.
struct SpaceTests {
    /// Random changes, snapshots, forks and deletions.
    private final class Workload: @unchecked Sendable {
        let volume: TestVolume
        var random: TreeRandom
        private var count = 0

        init(_ volume: TestVolume, seed: UInt64) {
            self.volume = volume
            random = TreeRandom(seed: seed)
        }

        var fileSystem: FileSystem { volume.fileSystem }

        func labels() throws -> [LabelInfo] {
            try fileSystem.labels().filter { !["adm", "empty"].contains($0.text) }
        }

        func change(_ changes: HistoryChange...) throws {
            try fileSystem.change(changes, as: volume.caller)
        }

        func freshName() -> [UInt8] {
            count += 1
            return Array("l\(count)".utf8)
        }

        func write(_ label: LabelInfo) throws {
            let name = "f\(random.below(6))"
            let handle = try open(name, label.text)
            defer { fileSystem.close(handle) }
            for _ in 0..<1 + random.below(3) {
                let bytes = random.bytes(1 + random.below(5)).flatMap {
                    [UInt8](repeating: $0, count: 16384)
                }
                try volume.write(handle, bytes, at: UInt64(random.below(40)) * 16384)
            }
        }

        private func open(_ name: String, _ label: String) throws -> FileHandle {
            if let handle = try? volume.walk(name, label: label) {
                let mode = OpenMode(.write, truncates: random.chance(20))
                try fileSystem.open(handle, mode, as: volume.caller)
                return handle
            }
            let handle = try volume.root(label)
            try Array(name.utf8).withBytes { (bytes) throws(FileError) -> Void in
                try fileSystem.create(
                    in: handle, name: bytes, mode: 0o644, OpenMode(.readWrite), as: volume.caller)
            }
            return handle
        }

        func remove(_ label: LabelInfo) throws {
            guard let handle = try? volume.walk("f\(random.below(6))", label: label.text) else {
                return
            }
            // Removing a file ends the handle, too.
            defer { fileSystem.close(handle) }
            try fileSystem.remove(handle, as: volume.caller)
        }

        func step(reopens: Bool = true) throws {
            let all = try labels()
            let branches = all.filter(\.isMutable)
            guard let label = all.randomElement(using: &random),
                let branch = branches.randomElement(using: &random)
            else { return }
            switch random.below(24) {
            case 0: try change(.fork(of: label.name, as: freshName()))
            case 1..<6: try change(.snapshot(of: branch.name, as: freshName()))
            case 6..<8: if label.text != "main" { try change(.delete(label.name)) }
            case 8: if reopens { try volume.reopen() }
            case 9..<12: try remove(branch)
            case 12:
                let kept = random.chance(50) ? freshName() : nil
                try change(.rollback(branch: branch.name, to: label.name, keeping: kept))
            default: try write(branch)
            }
        }
    }

    /// A fresh volume of either dialect.
    private func makeVolume(_ seed: UInt64) throws -> TestVolume {
        let memory = MemoryDevice(byteCount: TestVolume.deviceBytes)
        try Ream.run(device: memory, user: "glenda", dialect: seed % 2 == 0 ? .n : .r)
        return try TestVolume(image: memory.image)
    }

    private func check(_ workload: Workload) throws {
        let fileSystem = workload.fileSystem
        fileSystem.drainReclaims()
        try workload.volume.sync()
        try fileSystem.drainHistory()
        let holders = try BlockHolders(fileSystem)
        for space in try fileSystem.labelSpace() {
            let name = space.label.text
            let referenced = holders.referenced(space.label.name).blockBytes
            #expect(space.referencedBytes == referenced, "label \(name)")
            if name == "empty" { continue }
            let alone = holders.freed(deleting: [space.label.name]).blockBytes
            #expect(space.exclusiveBytes == alone, "label \(name)")
        }
        let explained = try fileSystem.explainSpace()
        #expect(explained.unaccounted == 0)
        #expect(explained.overlap == 0)
        #expect(explained.total == explained.size)
        #expect(explained.size == fileSystem.space().size)
    }

    @Test(arguments: treeTestSeeds(6))
    func `lists and dry runs say what walking all trees says`(seed: UInt64) throws {
        let workload = Workload(try makeVolume(seed), seed: seed)
        for _ in 0..<6 {
            for _ in 0..<25 { try workload.step() }
            try check(workload)
            let names = try workload.labels().filter { $0.text != "main" }.map(\.name)
            let set = names.filter { _ in workload.random.chance(40) }
            let said = try workload.fileSystem.deletionSpace(of: set)
            let before = try BlockHolders(workload.fileSystem)
            #expect(said.freedBytes == before.freed(deleting: Set(set)).blockBytes)
            if set.isEmpty { continue }
            let usedBefore = try workload.fileSystem.explainSpace().treeBytes
            try workload.fileSystem.change(
                set.map { .delete($0) }, as: workload.volume.caller)
            try workload.fileSystem.drainHistory()
            let after = try BlockHolders(workload.fileSystem)
            #expect(said.freedBytes == before.all.subtracting(after.all).count.blockBytes)
            let freed =
                Int64(usedBefore)
                - Int64(
                    try workload.fileSystem.explainSpace().treeBytes)
            #expect(freed == Int64(said.freedBytes), "seed \(seed)")
            try check(workload)
        }
        try workload.fileSystem.close()
        #expect(try VolumeCheck.leaks(workload.volume) == 0)
    }

    @Test(arguments: treeTestSeeds(3))
    func `every block is accounted for at any moment, beside writers and deletions`(
        seed: UInt64
    ) throws {
        let workload = Workload(try makeVolume(seed), seed: seed)
        let fileSystem = workload.fileSystem
        let isDone = Atomic<Bool>(false)
        let failure = Mutex<String?>(nil)
        let writer = try #require(
            WorkerThread {
                do {
                    for _ in 0..<400 { try workload.step(reopens: false) }
                } catch {
                    failure.withLock { $0 = "\(error)" }
                }
                isDone.store(true, ordering: .releasing)
            })
        var audits = 0
        while !isDone.load(ordering: .acquiring) || audits < 3 {
            let explained = try fileSystem.explainSpace()
            #expect(explained.unaccounted == 0)
            #expect(explained.overlap == 0)
            #expect(explained.total == explained.size)
            let branches = try fileSystem.labelSpace().filter(\.label.isMutable)
            #expect(branches.allSatisfy { $0.referencedBytes > 0 })
            audits += 1
        }
        writer.join()
        #expect(failure.withLock { $0 } == nil)
        try check(workload)
        try fileSystem.close()
        #expect(try VolumeCheck.leaks(workload.volume) == 0)
    }
}

extension LabelInfo {
    var text: String { String(decoding: name, as: UTF8.self) }
}

extension SpaceExplanation {
    /// What trees and files take, and what is lost.
    var treeBytes: UInt64 {
        size - free - reserve - deadlists - snapshotTree - logs - unusable - pendingFrees
    }

    /// The sum of all parts.
    var total: UInt64 {
        let shares = (branches + snapshots).reduce(0) { $0 + $1.byteCount }
        let trees = shares + sharedBySnapshots + awaitingClear + deletedSnapshots
        let books = deadlists + snapshotTree + logs + unusable
        return trees + books + pendingFrees + notCommitted + unaccounted - overlap + reserve + free
    }
}
