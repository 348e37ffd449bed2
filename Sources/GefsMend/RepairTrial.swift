import GefsEngine
import GefsFormat

/// Damages a volume, repairs it, and compares what is left with what was there.
public struct RepairTrial {
    /// What came of it.
    public enum Outcome: String, Sendable, CaseIterable {
        /// Clean, with all that did not depend on damaged blocks.
        case repaired
        /// The damage was in nothing that is used.
        case untouched
        /// Nothing led to the files of the last commit, but labels of an earlier one and new ones
        /// have all that was not damaged.
        case recovered
        /// Nothing leads to the files of the last commit: left as it was, and said so, or an older
        /// commit. Where it was left, a rescue has all that was not damaged.
        case hopeless
        /// Not as it has to be.
        case failed
    }

    public private(set) var outcome = Outcome.repaired
    /// What was done to the image.
    public private(set) var damage: [String] = []
    /// What is wrong, where it failed.
    public private(set) var faults: [String] = []
    /// What the repair said.
    public private(set) var remarks: [String] = []
    /// Files that were compared and are as they were, in all labels.
    public private(set) var keptFiles = 0
    /// Files that are gone, cut or moved.
    public private(set) var lostFiles = 0
    /// Interruptions that were tried.
    public private(set) var interruptions = 0
    /// The image in the end.
    public private(set) var image: MemoryImage

    /// Of so many trials one also has wrong links between snapshots.
    private static let relinkedEach: UInt64 = 15
    private static let time: Int64 = 1_700_000_000_000_000_000

    /// Volumes that trials are made on, each made once.
    public final class Bases {
        private var known: [UInt64: (ImageMap, MemoryImage)] = [:]
        private let count: UInt64

        /// - Parameter count: how many different ones.
        public init(count: UInt64 = 8) {
            self.count = count
        }

        func base(_ seed: UInt64) throws -> (map: ImageMap, earlier: MemoryImage) {
            let name = seed % count
            if let base = known[name] { return base }
            let volume = try TrialVolume(
                seed: name &+ 1, features: name % 4 == 3 ? .posix : [])
            guard let map = ImageMap(volume.image, withBlocks: true) else {
                throw NoVolume()
            }
            known[name] = (map, volume.earlier)
            return (map, volume.earlier)
        }
    }

    /// A volume could not be made.
    struct NoVolume: Error {}

    /// Makes a trial.
    ///
    /// - Parameters:
    ///   - seed: decides everything.
    ///   - interrupts: repairs again from what crashes during the repair leave.
    public init(seed: UInt64, on bases: Bases, interrupts: Bool) throws {
        var random = SeededGenerator(seed: seed &* 0x9e37_79b9 &+ 77)
        let (map, earlier) = try bases.base(seed)
        let damaged = TrialDamage(
            map, earlier: earlier, relinks: seed % Self.relinkedEach == 5, &random)
        damage = damaged.description
        image = damaged.image
        let device = MemoryDevice(damaged.image)
        let repair = DeviceRepair.plan(device, now: Self.time)
        if device.image != damaged.image { fail("the plan wrote") }
        guard repair.isComplete else {
            if damaged.isHopeless {
                outcome = .hopeless
                remarks = [repair.obstacle ?? ""]
                rescue(map, damaged)
            } else {
                fail("cannot be repaired: \(repair.obstacle ?? "")")
            }
            return
        }
        if repair.isNothing { outcome = .untouched }
        try repair.apply(to: device)
        image = device.image
        let report = Checker.check(device)
        // What a forged entry says of its file's length or number leaves data that nobody sees.
        let isClean =
            damaged.forged.isEmpty
            ? report.warningCount == 0 : DeviceRepair.plan(device, now: Self.time).isNothing
        if report.errorCount > 0 || !isClean || !report.isComplete {
            fail("not clean: \(report.findings.prefix(3))")
        }
        remarks = repair.notes.map(\.description)
        guard let result = ImageMap(image, withBlocks: false) else {
            fail("no superblock")
            return
        }
        guard !damaged.isHopeless else {
            if outcome != .failed { outcome = .recovered }
            findAgain(map, result, damaged)
            if interrupts { interrupt(damaged.image, repair, result, &random) }
            return
        }
        compare(map, result, damaged, repair)
        if interrupts, !repair.isNothing { interrupt(damaged.image, repair, result, &random) }
    }

    private mutating func rescue(_ map: ImageMap, _ damage: TrialDamage) {
        let comparison = RescueComparison(map, damage)
        keptFiles += comparison.keptFiles
        lostFiles += comparison.lostFiles
        for fault in comparison.faults.prefix(5) { fail(fault) }
    }

    private mutating func fail(_ why: String) {
        outcome = .failed
        faults.append(why)
    }

    // MARK: Comparing

    private mutating func compare(
        _ before: ImageMap, _ after: ImageMap, _ damage: TrialDamage, _ repair: DeviceRepair
    ) {
        let rescued = Set(
            after.files.filter { $0.key.hasPrefix("repair@") }.flatMap {
                $0.value.values.map(\.qid)
            })
        let notes = Set(repair.notes.filter { $0.outcome != .mended }.flatMap(\.labels))
        // Of two files that say they are the same, only one can stay.
        let doubles = repair.notes.filter { $0.text.contains("number of another file") }
        for (label, files) in before.files {
            let isFound = before.labelNeeds[label]?.isDisjoint(with: damage.damaged) ?? false
            let left = after.files[label]
            if isFound, left == nil,
                files.contains(where: {
                    $0.value.needs.union($0.value.needsAbove).isDisjoint(with: damage.damaged)
                })
            {
                fail("label \(label) is gone")
                continue
            }
            guard let left else {
                lostFiles += files.count
                if !notes.contains(label) { fail("nothing is said of label \(label)") }
                continue
            }
            var isAnythingLost = false
            for (path, file) in files {
                let now = left[path]
                let isSame =
                    now.map {
                        $0.entry == file.entry && $0.extents == file.extents
                            && $0.attributes == file.attributes
                    } ?? false
                if isSame {
                    keptFiles += 1
                    continue
                }
                lostFiles += 1
                let isDamaged = file.needs.union(file.needsAbove)
                    .isDisjoint(with: damage.forged)
                isAnythingLost = isAnythingLost || isDamaged
                let isWhole = file.needs.isDisjoint(with: damage.damaged)
                let isPlaced = file.needsAbove.isDisjoint(with: damage.damaged)
                if isWhole, isPlaced, isFound, doubles.isEmpty {
                    fail("\(label): \(path) did not depend on what was damaged")
                }
                // Another one of its names may still be there.
                let isElsewhere =
                    rescued.contains(file.qid)
                    || (file.isLinked && left.values.contains { $0.qid == file.qid })
                if isWhole, !isPlaced, isFound, now == nil, !isElsewhere, doubles.isEmpty {
                    fail("\(label): \(path) is not in lost+found")
                }
            }
            if isAnythingLost, !notes.contains(label) {
                fail("nothing is said of what is lost in \(label)")
            }
        }
    }

    /// Looks for each file in any label, since its own may be that of an earlier commit.
    private mutating func findAgain(
        _ before: ImageMap, _ after: ImageMap, _ damage: TrialDamage
    ) {
        for (label, files) in before.files {
            for (path, file) in files {
                let isKept = after.files.values.contains { left in
                    left[path].map { $0.entry == file.entry && $0.extents == file.extents } ?? false
                }
                if isKept {
                    keptFiles += 1
                } else {
                    lostFiles += 1
                    if file.needs.union(file.needsAbove).isDisjoint(with: damage.damaged) {
                        fail("\(label): \(path) is in no label")
                    }
                }
            }
        }
    }

    // MARK: Interrupting

    private mutating func interrupt(
        _ start: MemoryImage, _ repair: DeviceRepair, _ result: ImageMap,
        _ random: inout SeededGenerator
    ) {
        guard let device = try? RecordingDevice(image: start) else { return }
        do {
            try repair.apply(to: device)
        } catch {
            return fail("cannot be applied: \(error)")
        }
        let count = device.events.count
        for cut in Set((0..<10).map { _ in Int.random(in: 0...count, using: &random) }).sorted() {
            interruptions += 1
            let crashed = MemoryDevice(
                device.crashImage(after: cut, seed: random.next()))
            let again = DeviceRepair.plan(crashed, now: Self.time)
            guard again.isComplete, (try? again.apply(to: crashed)) != nil else {
                fail("interrupted at \(cut) of \(count): \(again.obstacle ?? "cannot be applied")")
                continue
            }
            let report = Checker.check(crashed)
            if report.errorCount > 0 {
                fail("interrupted at \(cut) of \(count): not clean")
            }
            guard let end = ImageMap(crashed.image, withBlocks: false) else {
                fail("interrupted at \(cut) of \(count): no superblock")
                continue
            }
            if let difference = Self.difference(Self.states(end), Self.states(result)) {
                fail("interrupted at \(cut) of \(count): another end: \(difference)")
            }
        }
    }

    private static func difference(
        _ end: [String: [String: [UInt64: UInt64]]], _ result: [String: [String: [UInt64: UInt64]]]
    ) -> String? {
        guard end.keys == result.keys else {
            return "labels \(end.keys.sorted()), not \(result.keys.sorted())"
        }
        for (label, files) in result.sorted(by: { $0.key < $1.key }) {
            guard let found = end[label], found != files else { continue }
            let paths = Set(files.keys).union(found.keys).filter { files[$0] != found[$0] }
            let path = paths.min() ?? ""
            return
                "\(label): \(paths.count) files, \(path) \(found[path] == nil ? "gone" : "differs")"
        }
        return nil
    }

    /// What all labels hold.
    private static func states(_ map: ImageMap) -> [String: [String: [UInt64: UInt64]]] {
        map.files.mapValues { $0.mapValues(\.extents) }
    }
}
