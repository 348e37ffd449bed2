import GefsFormat
import Testing

@testable import GefsEngine

/// What concerns settings and automatic snapshots; see `WeaknessTests`.
extension WeaknessTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test
    func `12.27 a bad schedule on the disk stops that branch's snapshots, and nothing else`() throws
    {
        let scheduled = try ScheduledVolume()
        try scheduled.change(.fork(of: bytes("main"), as: bytes("work")))
        for label in ["main", "work"] { try scheduled.use(label) }
        // As the original would have put it there: ours refuses it.
        let branch = try scheduled.volume.fileSystem.volume.branch(bytes("main"), mayBlock: true)
        try branch.lock.locked { () throws(FileError) -> Void in
            try branch.take(
                SpacePromise(keys: 1, bytes: 64), as: scheduled.volume.caller,
                drawsOnReserve: false)
            branch.put(Key.config(RetentionPolicy.key), bytes("60@m 5@x"), isNew: true)
        }
        try scheduled.volume.reopen(options: scheduled.clock.options)
        for label in ["main", "work"] { try scheduled.use(label) }
        scheduled.run(seconds: 120)
        #expect(try scheduled.labels("main@").isEmpty)
        #expect(try scheduled.labels("work@").count == 5)
        #expect(scheduled.volume.fileSystem.failure == nil)
        let setting = try scheduled.volume.fileSystem.retention(of: bytes("main"))
        #expect(setting.policy == nil && setting.fault == .badUnit(word: bytes("5@x")))
        try scheduled.set(nil, of: "main")
        scheduled.look()
        #expect(try scheduled.labels("main@").count == 3)
    }

    @Test
    func `12.27 and 12.55 a bad schedule is refused, and the one before holds`() throws {
        let scheduled = try ScheduledVolume()
        for label in [nil, "main"] {
            try scheduled.set("5@m", of: label)
            #expect(throws: FileError.retention(.badUnit(word: bytes("5@x")))) {
                try scheduled.set("5@x", of: label)
            }
            let setting = try scheduled.volume.fileSystem.retention(of: label.map(bytes))
            #expect(setting.text == bytes("5@m"))
        }
    }

    @Test
    func `12.28 clearing what is not set is an error, and leaves nothing behind`() throws {
        let scheduled = try ScheduledVolume()
        for label in [nil, "main"] {
            for _ in 0..<2 {
                #expect(throws: FileError.label(.notSet, bytes("retain"))) {
                    try scheduled.set(nil, of: label)
                }
            }
            try scheduled.volume.makeFile("after-\(label ?? "all")")
            try scheduled.set("5@m", of: label)
            try scheduled.set(nil, of: label)
            #expect(throws: FileError.label(.notSet, bytes("retain"))) {
                try scheduled.set(nil, of: label)
            }
        }
        try scheduled.volume.reopen(options: scheduled.clock.options)
        let problems = try scheduled.problems()
        #expect(problems.isEmpty)
    }

    @Test
    func `12.29 a setting is durable when the call returns`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("5@m")
        try scheduled.set("6@m", of: "main")
        // What a power cut now leaves: no close, no further commit.
        let after = try TestVolume(image: scheduled.volume.device.imageAtLastFlush())
        #expect(try after.fileSystem.retention(of: nil).text == bytes("5@m"))
        #expect(try after.fileSystem.retention(of: bytes("main")).text == bytes("6@m"))
    }

    @Test
    func `12.29 labels of any length are attached`() throws {
        let scheduled = try ScheduledVolume()
        let long = bytes(String(repeating: "x", count: 255))
        try scheduled.change(.snapshot(of: bytes("main"), as: long))
        scheduled.volume.fileSystem.close(
            try scheduled.volume.fileSystem.attach(long, as: scheduled.volume.caller))
    }

    @Test
    func `12.54 the schedule deletes labels of branches in use without leaving records`() throws {
        let scheduled = try ScheduledVolume()
        try scheduled.set("2@m")
        let root = try scheduled.volume.root()
        for step in 0..<10 {
            try scheduled.volume.makeFile("f\(step)")
            scheduled.run(seconds: 60)
            try scheduled.volume.reopen(options: scheduled.clock.options)
            try scheduled.use("main")
            scheduled.look()
        }
        scheduled.volume.fileSystem.close(root)
        try scheduled.volume.fileSystem.drainHistory()
        let graph = scheduled.volume.fileSystem.volume.history.snapshot()
        #expect(graph.droppable.isEmpty)
        // adm, empty, main and two snapshots of it.
        #expect(graph.records.count <= 5)
        let problems = try scheduled.problems()
        #expect(problems.isEmpty)
    }

    @Test
    func `12.55 settings and schedules of unknown labels are refused`() throws {
        let scheduled = try ScheduledVolume()
        let unknown = FileError.label(.unknown, bytes("nothing"))
        #expect(throws: unknown) { try scheduled.set("5@m", of: "nothing") }
        #expect(throws: unknown) { try scheduled.set(nil, of: "nothing") }
        #expect(throws: unknown) {
            _ = try scheduled.volume.fileSystem.retention(of: bytes("nothing"))
        }
        #expect(throws: unknown) {
            _ = try scheduled.volume.fileSystem.configuration(of: bytes("nothing"))
        }
    }
}
