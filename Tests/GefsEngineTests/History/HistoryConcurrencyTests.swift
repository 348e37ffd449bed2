import GefsCrash
import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

/// Labels come and go while several threads write, and others read.
@Suite
struct HistoryConcurrencyTests {
    /// Somebody who changes one branch. Labels are made of it while it holds still.
    private final class Writer: @unchecked Sendable {
        let label: String
        let lock = Lock()
        /// lock.
        private(set) var workload: RandomWorkload
        private let view: TestVolume

        init(_ volume: TestVolume, _ label: String, seed: UInt64) {
            self.label = label
            workload = RandomWorkload(seed: seed)
            // A branch can go back to a snapshot of another one, and then has that one's names.
            workload.namePrefix = label
            view = TestVolume(sharing: volume, label: label)
        }

        func run(steps: Int) throws {
            for step in 0..<steps {
                try lock.locked { try workload.step(view) }
                if step % 23 == 0 { try view.sync() }
            }
        }

        /// Calls `body` with what the branch holds, which does not change meanwhile.
        func pause<R>(_ body: (FileModel) throws -> R) throws -> R {
            try lock.locked { try body(workload.model) }
        }

        /// The branch goes back to a state.
        func goBack(to model: FileModel, _ body: () throws -> Void) throws {
            try lock.locked {
                try body()
                workload.model = model
            }
        }
    }

    /// Snapshots, and what is in them.
    private final class Shelf: @unchecked Sendable {
        private let lock = Lock()
        /// lock.
        private var models: [String: FileModel] = [:]

        func put(_ name: String, _ model: FileModel) { lock.locked { models[name] = model } }

        func take(_ name: String) { lock.locked { models[name] = nil } }

        func pick(_ generator: inout SeededGenerator) -> (name: String, model: FileModel)? {
            let all = self.all
            return all.keys.sorted().randomElement(using: &generator)
                .map { ($0, all[$0] ?? FileModel()) }
        }

        var all: [String: FileModel] { lock.locked { models } }
    }

    private final class Failures: @unchecked Sendable {
        private let lock = Lock()
        /// lock.
        private var texts: [String] = []

        func note(_ name: String, _ body: () throws -> Void) {
            do {
                try body()
            } catch {
                add("\(name): \(error)")
            }
        }

        func add(_ text: String) { lock.locked { texts.append(text) } }

        var all: [String] { lock.locked { texts } }
    }

    /// Runs functions on threads of their own, to their ends.
    private func together(_ bodies: [(name: String, body: @Sendable () throws -> Void)]) -> [String]
    {
        let failures = Failures()
        let threads = bodies.map { item in
            WorkerThread { failures.note(item.name, item.body) }
        }
        for thread in threads { thread?.join() }
        if threads.contains(where: { $0 == nil }) { failures.add("no thread") }
        return failures.all
    }

    @Test(arguments: RandomWorkload.seeds([1, 2]))
    func `labels are what their branches were, whoever else is at work`(seed: UInt64) throws {
        var options = TestVolume.options
        options.commitIntervalNanoseconds = 3_000_000
        options.flushBytes = 1 << 20
        options.pruneBlocksMax = 20
        options.backlogBlocksMax = 1
        let volume = try TestVolume(options: options)
        var writers: [Writer] = []
        for (index, name) in ["main", "one", "two"].enumerated() {
            if index > 0 {
                try volume.change(.fork(of: Array("main".utf8), as: Array(name.utf8)))
            }
            writers.append(Writer(volume, name, seed: seed &* 10 &+ UInt64(index)))
        }
        let shelf = Shelf()
        let isDone = Atomic<Bool>(false)
        let team = writers
        var bodies: [(name: String, body: @Sendable () throws -> Void)] = team.map { writer in
            ("writer of \(writer.label)", { try writer.run(steps: 150) })
        }
        for number in 0..<2 {
            bodies.append(
                (
                    "labels \(number)",
                    {
                        var generator = SeededGenerator(seed: seed &* 100 &+ UInt64(number))
                        for step in 0..<60 {
                            try changeLabels(
                                volume, team, shelf, "\(number)-\(step)", &generator)
                        }
                    }
                ))
        }
        bodies.append(
            (
                "reader",
                {
                    var generator = SeededGenerator(seed: seed)
                    while !isDone.load(ordering: .relaxed) {
                        try read(volume, shelf, &generator)
                    }
                }
            ))
        let reading = bodies.removeLast()
        let failures = Failures()
        let reader = WorkerThread { failures.note(reading.name, reading.body) }
        let found = together(bodies)
        isDone.store(true, ordering: .relaxed)
        reader?.join()
        let all = found + failures.all
        #expect(all.isEmpty, "seed \(seed): \(all.prefix(3))")
        #expect(volume.fileSystem.failure == nil)
        var expected = shelf.all
        for writer in writers { expected[writer.label] = try writer.pause { $0 } }
        let state = try volume.state()
        #expect(state.keys.sorted() == expected.keys.sorted())
        for (name, model) in expected {
            let difference = state[name].flatMap { model.difference(from: $0) }
            #expect(difference == nil, "seed \(seed): \(name)")
        }
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(volume) == 0)
    }

    /// One change of labels, which may meet those of others.
    private func changeLabels(
        _ volume: TestVolume, _ writers: [Writer], _ shelf: Shelf, _ name: String,
        _ generator: inout SeededGenerator
    ) throws {
        let caller = volume.caller
        guard let writer = writers.randomElement(using: &generator) else { return }
        let label = Array(writer.label.utf8)
        switch Int.random(in: 0..<10, using: &generator) {
        case 0..<5:
            let new = "snap-\(name)"
            try writer.pause { model in
                try volume.fileSystem.change(
                    [.snapshot(of: label, as: Array(new.utf8))], as: caller)
                shelf.put(new, model)
            }
        case 5..<9:
            guard let (old, _) = shelf.pick(&generator) else { return }
            do throws(FileError) {
                try volume.fileSystem.change([.delete(Array(old.utf8))], as: caller)
                shelf.take(old)
            } catch .label(let fault, _) {
                // The reader is in it, or the other thread was faster.
                #expect(fault == .inUse || fault == .unknown)
            }
        default:
            guard let (target, model) = shelf.pick(&generator) else { return }
            do {
                try writer.goBack(to: model) {
                    try volume.fileSystem.change(
                        [
                            .rollback(
                                branch: label, to: Array(target.utf8), keeping: nil)
                        ], as: caller)
                }
            } catch FileError.label(.unknown, _) {}
        }
    }

    /// Reads a whole snapshot while it may be deleted.
    private func read(
        _ volume: TestVolume, _ shelf: Shelf, _ generator: inout SeededGenerator
    ) throws {
        guard let (name, model) = shelf.pick(&generator) else { return }
        let view = TestVolume(sharing: volume, label: name)
        do {
            // Held all the time, so that it stays.
            let root = try view.root()
            defer { volume.fileSystem.close(root) }
            let found = try FileModel(of: view)
            if let difference = model.difference(from: found) {
                Issue.record("\(name): \(difference)")
            }
        } catch FileError.unknownLabel {
            // It went before it was opened.
        }
    }
}
