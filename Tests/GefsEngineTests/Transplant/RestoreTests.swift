import GefsCrash
import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

@Suite
struct RestoreTests {
    @Test
    func `a changed file gets its contents, mode, owner, group and time back`() throws {
        let volume = try TestVolume()
        let bytes = TestVolume.bytes(100_000)
        try volume.makeFile("a", bytes)
        try volume.change("a") {
            $0.mode = 0o600
            $0.group = .adm
            $0.modificationTime = 12345
        }
        let traits = FileTraits(try volume.status("a"))
        let before = try volume.status("a")
        try volume.snapshot("s")
        try volume.write("a", [1, 2, 3], at: 50_000)
        try volume.change("a") {
            $0.mode = 0o644
            $0.group = TestVolume.user
        }
        let changed = try volume.status("a")
        let report = try volume.restore("a")
        #expect(report.items.count == 1)
        #expect(report.copiedFiles == 1)
        // One block of seven was changed.
        #expect(report.copiedBytes == UInt64(Geometry.blockBytes))
        let same = try volume.read("a") == bytes
        #expect(same)
        let after = try volume.status("a")
        #expect(FileTraits(after) == traits)
        #expect(after.qid.path == before.qid.path)
        #expect(after.qid.version > changed.qid.version)
        #expect(after.lastModifier == before.lastModifier)
        try volume.expectClean()
    }

    @Test
    func `a removed file comes back as the same file, with the directories above it`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.makeDirectory("d/e")
        let bytes = TestVolume.bytes(40_000)
        try volume.makeFile("d/e/a", bytes)
        try volume.makeFile("d/e/b", [9])
        let qids = try ["d", "d/e", "d/e/a"].map { try volume.status($0).qid.path }
        let traits = try ["d", "d/e", "d/e/a"].map { FileTraits(try volume.status($0)) }
        try volume.snapshot("s")
        for path in ["d/e/a", "d/e/b", "d/e", "d"] { try volume.remove(path) }
        try volume.sync()
        let report = try volume.restore("d/e/a")
        #expect(report.items.map(\.effect) == [.added, .added, .added])
        #expect(try ["d", "d/e", "d/e/a"].map { try volume.status($0).qid.path } == qids)
        #expect(try ["d", "d/e", "d/e/a"].map { FileTraits(try volume.status($0)) } == traits)
        #expect(try volume.list("d/e") == ["a"])
        let same = try volume.read("d/e/a") == bytes
        #expect(same)
        #expect(try volume.strayQids().isEmpty)
        try volume.expectClean()
    }

    @Test
    func `of a directory everything comes back, and what is new stays or goes`() throws {
        for deletesNew in [false, true] {
            let volume = try TestVolume()
            try volume.makeDirectory("d")
            try volume.makeDirectory("d/sub")
            for index in 0..<20 {
                try volume.makeFile("d/f\(index)", TestVolume.bytes(1000 * index, salt: 7))
                try volume.makeFile("d/sub/g\(index)", TestVolume.bytes(3000, salt: 8))
            }
            let old = try FileModel(of: volume)
            let traits = FileTraits(try volume.status("d/sub"))
            try volume.snapshot("s")
            try volume.remove("d/f3")
            try volume.write("d/f5", [1, 2, 3], at: 0)
            try volume.change("d/f6") { $0.length = 10 }
            try volume.change("d/f7") { $0.name = Array("f7x".utf8) }
            try volume.makeFile("d/new", [1])
            try volume.makeDirectory("d/sub/newdir")
            try volume.makeFile("d/sub/newdir/x", [1])
            for index in 0..<20 { try volume.remove("d/sub/g\(index)") }
            try volume.makeFile("outside", [5])
            let report = try volume.restore("d", deletesNew: deletesNew)
            var wanted = old
            wanted.items["outside"] = .file([5])
            if !deletesNew {
                wanted.items["d/new"] = .file([1])
                wanted.items["d/sub/newdir"] = .directory
                wanted.items["d/sub/newdir/x"] = .file([1])
            }
            #expect(wanted.difference(from: try FileModel(of: volume)) == nil)
            #expect(FileTraits(try volume.status("d/sub")) == traits)
            #expect(report.items.contains { $0.effect == .renamed })
            let again = try volume.restore("d", deletesNew: deletesNew)
            #expect(again.items.isEmpty, "\(again.items.map(\.effect))")
            try volume.reopen()
            #expect(wanted.difference(from: try FileModel(of: volume)) == nil)
            try volume.expectClean()
        }
    }

    @Test
    func `a file that another one replaced comes back in its place`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1, 1])
        let qid = try volume.status("a").qid.path
        try volume.snapshot("s")
        try volume.remove("a")
        try volume.makeFile("a", [2, 2, 2])
        try volume.restore("a")
        #expect(try volume.read("a") == [1, 1])
        #expect(try volume.status("a").qid.path == qid)
        #expect(try volume.list("") == ["a"])
        try volume.expectClean()
    }

    @Test
    func `a renamed file is renamed back, unless it has changed: then both are there`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.makeFile("log", [2])
        let qid = try volume.status("a").qid.path
        try volume.snapshot("s")
        try volume.change("a") { $0.name = Array("b".utf8) }
        try volume.change("log") { $0.name = Array("log.1".utf8) }
        try volume.write("log.1", [3, 4], at: 0)
        try volume.makeFile("log", [5])
        let report = try volume.restore("a", "log")
        #expect(report.copiedFiles == 1)
        #expect(try volume.list("") == ["a", "log", "log.1"])
        #expect(try volume.status("a").qid.path == qid)
        #expect(try volume.read("log") == [2])
        #expect(try volume.read("log.1") == [3, 4])
        try volume.expectClean()
    }

    @Test
    func `two files that swapped their names swap them back`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.makeFile("b", [2])
        try volume.snapshot("s")
        try volume.change("a") { $0.name = Array("c".utf8) }
        try volume.change("b") { $0.name = Array("a".utf8) }
        try volume.change("c") { $0.name = Array("b".utf8) }
        try volume.write("a", [7, 7], at: 0)
        try volume.restore("", deletesNew: true)
        #expect(try volume.list("") == ["a", "b"])
        #expect(try volume.read("a") == [1])
        #expect(try volume.read("b") == [2])
        try volume.expectClean()
    }

    @Test
    func `a directory that was made anew takes back what the old one held`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.makeDirectory("d/s")
        try volume.makeFile("d/a", [1])
        try volume.makeFile("d/s/b", [2])
        try volume.snapshot("s")
        for path in ["d/s/b", "d/s", "d/a", "d"] { try volume.remove(path) }
        try volume.makeDirectory("d")
        try volume.makeFile("d/a", [3])
        try volume.makeFile("d/n", [4])
        try volume.restore("d")
        #expect(try volume.list("d") == ["a", "n", "s"])
        #expect(try volume.read("d/a") == [1])
        #expect(try volume.read("d/n") == [4])
        #expect(try volume.read("d/s/b") == [2])
        try volume.expectClean()
    }

    @Test
    func `a dry run says what would be done and does nothing`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", TestVolume.bytes(50_000))
        try volume.snapshot("s")
        try volume.remove("a")
        let report = try volume.restore("a", isDryRun: true)
        #expect(report.copiedBytes == UInt64(4 * Geometry.blockBytes))
        #expect(try volume.list("").isEmpty)
        try volume.expectClean()
    }

    @Test
    func `what cannot come back says which path and changes nothing`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.makeFile("f", [1])
        try volume.snapshot("s")
        try volume.remove("a")
        try volume.makeDirectory("a")
        try volume.makeFile("a/x", [2])
        try volume.write("f", [2], at: 0)
        do {
            try volume.restore("f", "a")
            Issue.record("restored over a directory")
        } catch let error as RestoreError {
            #expect(error.fault == .exists)
            #expect(error.path == TestVolume.elements("a"))
        }
        #expect(try volume.read("f") == [2])
        do {
            try volume.restore("nothing/there")
            Issue.record("restored nothing")
        } catch let error as RestoreError {
            #expect(error.fault == .notFound)
        }
        try volume.restore("a", deletesNew: true)
        #expect(try volume.read("a") == [1])
        try volume.expectClean()
    }

    @Test
    func `open files change under their readers, and removed ones say so`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", TestVolume.bytes(30_000))
        try volume.makeDirectory("d")
        try volume.snapshot("s")
        try volume.write("a", [0, 0, 0], at: 100)
        try volume.makeFile("d/new", TestVolume.bytes(20_000, salt: 3))
        let a = try volume.walk("a")
        try volume.fileSystem.open(a, OpenMode(.readWrite), as: volume.caller)
        let new = try volume.walk("d/new")
        try volume.fileSystem.open(new, OpenMode(.readWrite), as: volume.caller)
        try volume.restore("a")
        try volume.restore("d", deletesNew: true)
        let same = try volume.read(a, count: 40_000) == TestVolume.bytes(30_000)
        #expect(same)
        try volume.write(a, [5], at: 30_000)
        #expect(try volume.status("a").length == 30_001)
        // A removed file is read as it was until it is closed.
        let kept = try volume.read(new, count: 40_000) == TestVolume.bytes(20_000, salt: 3)
        #expect(kept)
        #expect(throws: FileError.removed) { try volume.write(new, [1], at: 0) }
        volume.fileSystem.close(new)
        volume.fileSystem.close(a)
        volume.fileSystem.drainReclaims()
        #expect(try volume.strayQids().isEmpty)
        try volume.expectClean()
    }

    @Test
    func `a file that was removed while open comes back beside the one that is still read`()
        throws
    {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.makeFile("d/a", TestVolume.bytes(30_000))
        try volume.snapshot("s")
        let held = try volume.walk("d/a")
        try volume.fileSystem.open(held, OpenMode(.read), as: volume.caller)
        let directory = try volume.walk("d")
        try volume.write("d/a", [1], at: 0)
        try volume.remove("d/a")
        try volume.remove("d")
        try volume.restore("d")
        let same = try volume.read("d/a") == TestVolume.bytes(30_000)
        #expect(same)
        let stillRead = try volume.read(held, count: 1)
        #expect(stillRead == [1])
        // The directory itself is the one that is open.
        #expect(try volume.fileSystem.status(directory, as: volume.caller).mode & 0o777 == 0o755)
        volume.fileSystem.close(held)
        volume.fileSystem.close(directory)
        try volume.makeFile("d/b", [1])
        #expect(try volume.list("d") == ["a", "b"])
        try volume.expectClean()
    }
}

/// A transplant while others read and write.
@Suite
struct TransplantRaceTests {
    @Test
    func `writers go on, and readers see all of a restore or nothing`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.snapshot("none")
        for index in 0..<60 { try volume.makeFile("d/f\(index)", TestVolume.bytes(2000)) }
        try volume.snapshot("s")
        try volume.makeFile("w", [0])
        let stop = Atomic(false)
        let counts = Mutex<Set<Int>>([])
        let failures = Mutex<[String]>([])
        let threads = [
            WorkerThread {
                while !stop.load(ordering: .relaxed) {
                    do {
                        let count = try volume.list("d", bytesPerCall: 100_000).count
                        counts.withLock { _ = $0.insert(count) }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
            },
            WorkerThread {
                var round: UInt64 = 0
                while !stop.load(ordering: .relaxed) {
                    do {
                        round += 1
                        try volume.write("w", [UInt8(truncatingIfNeeded: round)], at: round % 9999)
                        try volume.makeFile("n\(round)")
                        if round % 7 == 0 { try volume.sync() }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
            },
        ]
        for _ in 0..<8 {
            try volume.restore("d", from: "none", deletesNew: true)
            #expect(try volume.list("d").isEmpty)
            try volume.restore("d")
            #expect(try volume.list("d").count == 60)
        }
        stop.store(true, ordering: .relaxed)
        for thread in threads { thread?.join() }
        #expect(failures.withLock { $0 } == [])
        #expect(counts.withLock { $0 }.isSubset(of: [0, 60]))
        try volume.expectClean()
    }

    @Test
    func `a restore whose branch goes back meanwhile begins anew`() throws {
        let volume = try TestVolume()
        try volume.makeFile("a", [1])
        try volume.snapshot("s")
        try volume.write("a", [2], at: 0)
        let branch = try volume.fileSystem.volume.use(TestVolume.main, mayBlock: true)
        let count = branch.switchCount
        try volume.label(
            .rollback(branch: TestVolume.main, to: Array("s".utf8), keeping: nil))
        #expect(branch.switchCount == count + 1)
        branch.lock.locked { branch.removeUser() }
        #expect(try volume.restore("a").items.isEmpty)
        try volume.expectClean()
    }

    @Test
    func `a file of another line that has the same entry but other contents comes back`() throws {
        let volume = try TestVolume()
        try volume.makeDirectory("d")
        try volume.makeFile("d/a", Array("first".utf8))
        try volume.fork("fork")
        for (label, text) in [("main", "other"), ("fork", "forks")] {
            let editor = BranchEditor(volume, label)
            try editor.write("d/a", Array(text.utf8))
            try editor.change("d/a") { $0.modificationTime = 5 }
        }
        let report = try volume.restore("d", from: "fork")
        #expect(report.copiedFiles == 1)
        #expect(try volume.read("d/a") == Array("forks".utf8))
        try volume.expectClean()
    }
}
