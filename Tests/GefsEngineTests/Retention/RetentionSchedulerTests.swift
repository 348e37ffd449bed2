import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

@Suite
struct RetentionSchedulerTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test
    func `branches in use get snapshots of what they hold`() throws {
        let scheduled = try ScheduledVolume()
        let volume = scheduled.volume
        scheduled.look()
        #expect(try scheduled.labels() == ["adm", "empty", "main"])
        try volume.makeFile("a", [1])
        scheduled.look()
        #expect(
            try scheduled.labels("main@") == [
                "main@day.2026.11.22_12:00:00", "main@hour.2026.11.22_12:00:00",
                "main@minute.2026.11.22_12:00:00",
            ])
        try volume.makeFile("b")
        scheduled.run(seconds: 65)
        #expect(
            try scheduled.labels("main@minute") == [
                "main@minute.2026.11.22_12:00:00", "main@minute.2026.11.22_12:01:00",
            ])
        #expect(try scheduled.holds("a", "main@minute.2026.11.22_12:00:00"))
        #expect(try !scheduled.holds("b", "main@minute.2026.11.22_12:00:00"))
        #expect(try scheduled.holds("b", "main@-0s"))
        // Nobody attached to the file system's own label; it was read all the same.
        #expect(try scheduled.labels("adm@").isEmpty)
        #expect(scheduled.takeLog().isEmpty)
        let problems = try scheduled.problems()
        #expect(problems.isEmpty)
    }

    @Test
    func `the oldest beyond the count go, and leave nothing behind`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("3@m 2@h")
        for step in 0..<130 {
            try scheduled.volume.makeFile("f\(step)", [UInt8](repeating: 1, count: 3000))
            if step % 2 == 1 { try scheduled.volume.remove("f\(step - 1)") }
            scheduled.run(seconds: 60)
        }
        #expect(
            try scheduled.labels("main@") == [
                "main@hour.2026.11.22_13:00:00", "main@hour.2026.11.22_14:00:00",
                "main@minute.2026.11.22_14:08:00", "main@minute.2026.11.22_14:09:00",
                "main@minute.2026.11.22_14:10:00",
            ])
        try scheduled.volume.fileSystem.drainHistory()
        let problems = try scheduled.problems()
        #expect(problems.isEmpty, "\(problems)")
    }

    @Test
    func `a fork has a schedule of its own, and inherits what its tree says`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("1@h", of: "main")
        try scheduled.change(.fork(of: bytes("main"), as: bytes("work")))
        try scheduled.set("", of: "main")
        try scheduled.use("main")
        try scheduled.use("work")
        scheduled.look()
        #expect(try scheduled.labels("main@").isEmpty)
        #expect(try scheduled.labels("work@") == ["work@hour.2026.11.22_12:00:00"])
        try scheduled.set(nil, of: "work")
        try scheduled.set("@d")
        scheduled.look()
        #expect(
            try scheduled.labels("work@") == [
                "work@day.2026.11.22_12:00:00", "work@hour.2026.11.22_12:00:00",
            ])
    }

    @Test
    func `a lowered count takes effect at the next look`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.use("main")
        try scheduled.set("@m")
        scheduled.run(seconds: 600)
        #expect(try scheduled.labels("main@").count == 11)
        try scheduled.set("2@m")
        scheduled.look()
        #expect(
            try scheduled.labels("main@") == [
                "main@minute.2026.11.22_12:09:00", "main@minute.2026.11.22_12:10:00",
            ])
    }

    @Test
    func `a count of 0 keeps all, but none on disks of dialect N`() throws {
        for (dialect, count) in [(Dialect.r, 1), (.n, 0)] {
            let scheduled = try ScheduledVolume(dialect: dialect)
            try scheduled.use("main")
            try scheduled.change(
                .snapshot(of: bytes("main"), as: bytes("main@hour.2026.11.22_11:59:59")))
            try scheduled.set("0@h")
            scheduled.look()
            #expect(try scheduled.labels("main@hour").count == 2 * count)
        }
    }

    @Test
    func `label adm is always in use on disks of dialect N`() throws {
        let scheduled = try ScheduledVolume(dialect: .n)
        scheduled.look()
        #expect(try scheduled.labels("adm@").count == 3)
        #expect(try scheduled.labels("main@").isEmpty)
    }

    @Test
    func `what somebody looks at is deleted later`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("1@m")
        try scheduled.use("main")
        scheduled.look()
        let held = try scheduled.volume.root("main@minute.2026.11.22_12:00:00")
        scheduled.run(seconds: 120)
        #expect(
            try scheduled.labels("main@") == [
                "main@minute.2026.11.22_12:00:00", "main@minute.2026.11.22_12:02:00",
            ])
        scheduled.volume.fileSystem.close(held)
        scheduled.look()
        #expect(try scheduled.labels("main@") == ["main@minute.2026.11.22_12:02:00"])
        #expect(scheduled.takeLog().isEmpty)
    }

    @Test
    func `what follows writes is never deleted, whatever its name`() throws {
        let scheduled = try ScheduledVolume()
        let name = "main@minute.2020.01.01_00:00:00"
        try scheduled.change(.fork(of: bytes("main"), as: bytes(name)))
        try scheduled.set("1@m")
        try scheduled.use("main")
        scheduled.run(seconds: 120)
        #expect(try scheduled.labels("main@") == [name, "main@minute.2026.11.22_12:02:00"])
    }

    @Test
    func `a start finds the last times in the names`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.use("main")
        scheduled.run(seconds: 60)
        let before = try scheduled.labels()
        scheduled.clock.advance(seconds: 5)
        try scheduled.volume.reopen(options: scheduled.clock.options)
        scheduled.look()
        try scheduled.use("main")
        scheduled.look()
        #expect(try scheduled.labels() == before)
        scheduled.clock.advance(seconds: 10 * 86_400)
        scheduled.look()
        let added = Set(try scheduled.labels()).subtracting(before)
        #expect(added.count == 3)
    }

    @Test
    func `a clock that goes back repeats no name and stops nothing`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.use("main")
        try scheduled.set("5@m")
        scheduled.run(seconds: 600)
        scheduled.clock.advance(seconds: -3600)
        try scheduled.volume.makeFile("a")
        scheduled.run(seconds: 120)
        #expect(
            try scheduled.labels("main@") == [
                "main@minute.2026.11.22_11:11:00", "main@minute.2026.11.22_11:12:00",
                "main@minute.2026.11.22_12:08:00", "main@minute.2026.11.22_12:09:00",
                "main@minute.2026.11.22_12:10:00",
            ])
        scheduled.run(seconds: 3600)
        #expect(try scheduled.labels("main@").count == 5)
        #expect(try scheduled.labels("main@").last == "main@minute.2026.11.22_12:12:00")
        #expect(scheduled.takeLog().isEmpty)
    }

    @Test
    func `many deletions are spread over several looks`() throws {
        let scheduled = try ScheduledVolume()
        let count = RetentionScheduler.changesMax + 100
        let changes = try (0..<count).map { index -> HistoryChange in
            let time = try #require(CivilTime(seconds: 1_700_000_000 + Int64(index) * 60))
            let name = SnapshotTime(branch: bytes("main"), unit: .minute, time: time)
            return .snapshot(of: bytes("main"), as: name.name)
        }
        try scheduled.volume.fileSystem.change(changes, as: scheduled.volume.caller)
        try scheduled.set("1@m")
        try scheduled.use("main")
        scheduled.look()
        #expect(try scheduled.labels("main@").count == 102)
        scheduled.look()
        #expect(try scheduled.labels("main@").count == 1)
    }

    @Test
    func `many branches take turns`() throws {
        let scheduled = try ScheduledVolume()
        // Each makes one and deletes one a minute: more than there is room for in a look.
        let count = RetentionScheduler.changesMax * 3 / 4
        let names = (0..<count).map { bytes("fork\($0)") }
        try scheduled.volume.fileSystem.change(
            names.map { .fork(of: bytes("main"), as: $0) }, as: scheduled.volume.caller)
        try scheduled.set("1@m")
        let volume = scheduled.volume.fileSystem.volume
        for name in names { volume.noteUse(of: name) }
        func snapshots() throws -> [String] {
            try scheduled.labels("fork").filter { $0.contains("@") }
        }
        scheduled.look()
        #expect(try snapshots().count == count)
        for minute in 1...3 {
            scheduled.clock.advance(seconds: 60 - 5)
            scheduled.run(seconds: 15)
            let stamp = "12:0\(minute):"
            let isRight =
                try snapshots().count == count && snapshots().allSatisfy { $0.contains(stamp) }
            #expect(isRight)
            scheduled.clock.advance(seconds: -10)
        }
    }

    @Test
    func `writers, forks and deletions go on beside it`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("2@m 1@h")
        try scheduled.volume.makeDirectory("d")
        let fileSystem = scheduled.volume.fileSystem
        let isDone = Atomic<Bool>(false)
        let refusals = Atomic<Int>(0)
        let caller = scheduled.volume.caller
        let thread = WorkerThread {
            var number = 0
            while !isDone.load(ordering: .relaxed) {
                number += 1
                let name = Array("fork\(number)".utf8)
                do throws(FileError) {
                    try fileSystem.change([.fork(of: Array("main".utf8), as: name)], as: caller)
                    fileSystem.close(try fileSystem.attach(name, as: caller))
                    // Nobody is attached any more, so nobody may stand in the way.
                    try fileSystem.change([.delete(name)], as: caller)
                } catch {
                    refusals.wrappingAdd(1, ordering: .relaxed)
                }
            }
        }
        for step in 0..<60 {
            try scheduled.volume.makeFile("d/f\(step)", [UInt8](repeating: 1, count: 20_000))
            if step > 3 { try scheduled.volume.remove("d/f\(step - 3)") }
            scheduled.run(seconds: 20)
        }
        isDone.store(true, ordering: .relaxed)
        thread?.join()
        #expect(refusals.load(ordering: .relaxed) == 0)
        #expect(fileSystem.failure == nil)
        #expect(try scheduled.labels("main@").count == 3)
        try fileSystem.drainHistory()
        let problems = try scheduled.problems()
        #expect(problems.isEmpty)
    }

    @Test
    func `a name that leaves no room for a time is told once`() throws {
        let scheduled = try ScheduledVolume()
        let volume = scheduled.volume.fileSystem.volume
        // Such as the original makes; ours refuses to.
        let long = [UInt8](repeating: UInt8(ascii: "x"), count: 240)
        try scheduled.change(.fork(of: bytes("main"), as: bytes("short")))
        let label = try #require(volume.history.label(bytes("short")))
        volume.history.setLabel(long, label)
        volume.noteUse(of: long)
        try scheduled.use("main")
        scheduled.run(seconds: 120)
        #expect(scheduled.takeLog().count == 1)
        #expect(try scheduled.labels("main@").count == 5)
    }

    @Test
    func `a volume that is read-only or failed is left alone`() throws {
        let scheduled = try ScheduledVolume()
        var options = scheduled.clock.options
        options.isReadOnly = true
        options.takesSnapshots = true
        try scheduled.volume.reopen(options: options)
        try scheduled.use("main")
        scheduled.look()
        #expect(try scheduled.labels("main@").isEmpty)
    }

    @Test
    func `the thread ends with the volume`() throws {
        let scheduled = try ScheduledVolume()
        var options = scheduled.clock.options
        options.takesSnapshots = true
        for _ in 0..<3 { try scheduled.volume.reopen(options: options) }
        try scheduled.use("main")
        scheduled.look()
        #expect(try scheduled.labels("main@").count == 3)
        try scheduled.volume.reopen()
        #expect(try scheduled.labels("main@").count == 3)
    }

    @Test
    func `a full volume goes on to have snapshots, and is not taken down by them`() throws {
        let scheduled = try ScheduledVolume()
        let volume = scheduled.volume
        let content = [UInt8](repeating: 7, count: 1 << 20)
        var count = 0
        #expect(throws: FileError.volumeFull) {
            while true {
                try volume.makeFile("f\(count)", content)
                count += 1
            }
        }
        try scheduled.set("5@m")
        scheduled.run(seconds: 1800)
        #expect(volume.fileSystem.failure == nil)
        #expect(try scheduled.labels("main@").count == 5)
        for index in 0...count { try? volume.remove("f\(index)") }
        scheduled.run(seconds: 600)
        try volume.fileSystem.drainHistory()
        try volume.sync()
        try volume.sync()
        #expect(volume.fileSystem.failure == nil)
        let isEmptied = volume.fileSystem.space().used < 8 << 20
        #expect(isEmptied)
        let problems = try scheduled.problems()
        #expect(problems.isEmpty)
    }

    @Test
    func `a device that fails is the volume's affair, not the schedule's`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.volume.makeFile("a")
        scheduled.volume.device.failWrites(after: 0)
        scheduled.look()
        scheduled.run(seconds: 60)
        #expect(scheduled.volume.fileSystem.failure != nil)
        #expect(try scheduled.labels("main@").isEmpty)
    }
}
