import GefsEngine
import GefsFormat

/// One image, undamaged, with what is known of it; and what is tried on damaged copies of it.
package struct DamageTrial {
    /// What one sample came to.
    package struct Outcome {
        package var damage: Damage
        /// Nothing that anybody reads was changed.
        package var isHarmless = false
        /// The check has found it.
        package var isReported = false
        /// Files that could be read and were right, in all labels.
        package var right = 0
        /// Operations that were refused with an error that names the block.
        package var refused = 0
        /// Opening for reading, or for writing, was refused.
        package var refusedOpens = 0
        /// What must not be.
        package var failures: [String] = []
    }

    package let name: String
    package let map: DiskMap
    /// What the check says of the image as it is.
    private let baseline: [Finding: Int]
    private let filesMax: Int

    /// - Parameter filesMax: how many files of a label are read in a sample, apart from those that
    ///   need the damaged block.
    package init(name: String, image: MemoryImage, filesMax: Int = .max) throws {
        self.name = name
        self.filesMax = filesMax
        map = try DiskMap(image)
        baseline = Self.findings(image)
    }

    private static func findings(_ image: MemoryImage) -> [Finding: Int] {
        var options = CheckOptions()
        options.findingsPerKindMax = 4096
        let report = Checker.check(MemoryDevice(image, isReadOnly: true), options: options)
        return Dictionary(report.findings.map { ($0, 1) }, uniquingKeysWith: +)
    }

    /// Findings that the undamaged image does not have.
    private func news(_ image: MemoryImage) -> [Finding] {
        Self.findings(image).filter { $0.value > baseline[$0.key] ?? 0 && $0.key.severity > .note }
            .map(\.key)
    }

    static func options(isReadOnly: Bool) -> VolumeOptions {
        var options = VolumeOptions()
        options.isReadOnly = isReadOnly
        options.isPermissive = true
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 16 << 20
        options.clock = { 1_700_000_000_000_000_000 }
        return options
    }

    /// Damages a copy of the image, as the seed says, and looks at what comes of it.
    package func run(seed: UInt64) -> Outcome {
        var random = SampleRandom(seed: seed)
        let damage = Damage(map, &random)
        var outcome = Outcome(damage: damage, isHarmless: damage.isHarmless(map))
        let image = damage.apply(to: map.image)
        let found = news(image)
        outcome.isReported = !found.isEmpty
        judge(found, damage, &outcome)
        read(image, damage, &outcome, &random)
        write(image, damage, before: found, &outcome, &random)
        return outcome
    }

    private func judge(_ found: [Finding], _ damage: Damage, _ outcome: inout Outcome) {
        if outcome.isHarmless || damage.isOfLink(map) { return }
        let address = BlockAddress(rawValue: damage.address)
        if !found.contains(where: {
            $0.address == address || $0.description.contains(address.description)
        }) {
            outcome.failures.append(
                found.isEmpty ? "check finds nothing" : "check does not name the block: \(found[0])"
            )
        }
    }

    // MARK: reading

    private func read(
        _ image: MemoryImage, _ damage: Damage, _ outcome: inout Outcome,
        _ random: inout SampleRandom
    ) {
        do throws(FileError) {
            let fileSystem = try FileSystem.open(
                MemoryDevice(image, isReadOnly: true), options: Self.options(isReadOnly: true))
            var comparison = TreeComparison(map, damage, filesMax: filesMax)
            comparison.compare(fileSystem, &random)
            take(comparison.result, "reading", &outcome)
            try fileSystem.close()
        } catch {
            outcome.refusedOpens += 1
            let mayFail = damage.role == .snapshotLeaf || damage.role == .snapshotPivot
            if !mayFail || !error.names(damage.address) {
                outcome.failures.append("open to read: \(error)")
            }
        }
    }

    private func take(
        _ result: TreeComparison.Result, _ what: String, _ outcome: inout Outcome
    ) {
        outcome.right += result.right
        outcome.refused += result.refused
        outcome.failures += result.failures.prefix(4).map { "\(what): \($0)" }
    }

    // MARK: writing on

    private func write(
        _ image: MemoryImage, _ damage: Damage, before: [Finding], _ outcome: inout Outcome,
        _ random: inout SampleRandom
    ) {
        let device = MemoryDevice(image)
        let fileSystem: FileSystem
        do throws(FileError) {
            fileSystem = try FileSystem.open(device, options: Self.options(isReadOnly: false))
        } catch {
            outcome.refusedOpens += 1
            let isAllowed = damage.role.isNeededToWrite
            if !isAllowed || !error.names(damage.address) && !damage.isOfLink(map) {
                outcome.failures.append("open to write: \(error)")
            }
            return
        }
        var comparison = TreeComparison(map, damage, filesMax: filesMax)
        comparison.compare(fileSystem, &random)
        take(comparison.result, "served", &outcome)
        comparison.result = TreeComparison.Result()
        var writer = TrialWriter(map: map, damage: damage)
        writer.run(fileSystem, &random)
        outcome.refused += writer.refused
        outcome.failures += writer.failures
        comparison.changes = writer.changes
        let left = device.image
        judgeEnd(left, damage, before: before, &outcome)
        do throws(FileError) {
            let again = try FileSystem.open(
                MemoryDevice(left, isReadOnly: true), options: Self.options(isReadOnly: true))
            comparison.compare(again, &random)
            take(comparison.result, "afterwards", &outcome)
            try again.close()
        } catch {
            outcome.failures.append("open afterwards: \(error)")
        }
    }

    /// What was written on must not have made anything worse, and copies are whole again.
    private func judgeEnd(
        _ image: MemoryImage, _ damage: Damage, before: [Finding], _ outcome: inout Outcome
    ) {
        let known = Set(before)
        let kinds = Set(before.map(\.kind))
        let address = BlockAddress(rawValue: damage.address)
        for finding in news(image) where finding.severity == .error {
            let isSame =
                known.contains(finding) || finding.address == address
                || finding.description.contains(address.description)
                // A list moves from one snapshot to the next, and its damage with it.
                || damage.role.isList && kinds.contains(finding.kind)
            if !isSame || damage.role.isCopied {
                outcome.failures.append("after writing: \(finding)")
                return
            }
        }
    }
}

extension DiskMap.Role {
    /// Whether another block holds the same, so that it is put right at the next opening.
    var isCopied: Bool {
        switch self {
        case .primarySuperblock, .backupSuperblock, .arenaHeader, .arenaFooter: true
        default: false
        }
    }

    /// Whether it holds addresses of dead blocks.
    var isList: Bool {
        switch self {
        case .deadlistHead, .deadlistRest, .pendingList: true
        default: false
        }
    }

    /// Whether a volume without it cannot be opened for writing.
    var isNeededToWrite: Bool {
        switch self {
        case .logHead, .logMiddle, .logTail, .snapshotLeaf, .snapshotPivot: true
        default: false
        }
    }
}
