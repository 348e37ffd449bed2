import GefsEngine
import GefsFormat

/// Keeping the volume full, what `df` says, and what a stop leaves.
extension FullDiskStress {
    private var ballastPath: String { "b" }

    /// Takes all that is left.
    func fill() throws {
        for count in [64, 8, 1] {
            while try extendBallast(by: count) {}
        }
    }

    /// Returns false where there is no room.
    private func extendBallast(by blocks: Int) throws -> Bool {
        let bytes = [UInt8](repeating: 7, count: blocks * Self.block)
        do throws(FileError) {
            try volume.write(
                bytes, to: ballastPath, in: Self.ballast, at: ballastBlocks * Self.block)
        } catch .volumeFull {
            report.refusals += 1
            return false
        } catch {
            throw error
        }
        ballastBlocks += blocks
        return true
    }

    /// Gives some blocks back.
    func release() throws {
        let count = min(ballastBlocks, Int.random(in: 1...60, using: &generator))
        guard count > 0 else { return }
        ballastBlocks -= count
        try volume.setLength(ballastPath, in: Self.ballast, ballastBlocks * Self.block)
    }

    /// Tiny files until nothing fits, then away with them one by one.
    func fillWithTiny() throws {
        try fill()
        var made: [String] = []
        // Room for a few hundred of them.
        try release()
        while made.count < 5000 {
            let path = "tiny\(report.steps).\(made.count)"
            do throws(FileError) {
                try volume.make(path, in: "main", isDirectory: false)
                made.append(path)
                try volume.write([1], to: path, in: "main", at: 0)
            } catch .volumeFull {
                report.refusals += 1
                break
            } catch {
                throw error
            }
            report.steps += 1
        }
        for path in made.shuffled(using: &generator) {
            try volume.remove(path, in: "main")
            report.steps += 1
        }
    }

    /// What `df` calls available can be written; what is given back is there after a commit.
    func measure() throws {
        report.measurements += 1
        let available = Int(volume.fileSystem.settledSpace().available) / Self.block
        var left = available
        while left > 0 {
            let count = min(left, 64)
            guard try extendBallast(by: count) else {
                throw failure(
                    "of \(available) blocks that df called available \(left) cannot be written")
            }
            left -= count
        }
        try volume.sync()
        try volume.fileSystem.drainHistory()
        let before = volume.fileSystem.settledSpace()
        let count = min(ballastBlocks, 200)
        ballastBlocks -= count
        try volume.setLength(ballastPath, in: Self.ballast, ballastBlocks * Self.block)
        volume.fileSystem.drainReclaims()
        let after = volume.fileSystem.settledSpace()
        let gained = Int(before.used / UInt64(Self.block)) - Int(after.used / UInt64(Self.block))
        // Leaves, and what the commit itself takes, until the next one.
        guard gained >= count - 40 else {
            throw failure("\(count) blocks were given back, and a commit later \(gained) are free")
        }
    }

    // MARK: Looking

    /// All labels hold what the model says.
    func verify() throws { try verify(volume) }

    private func verify(_ volume: StressVolume) throws {
        for (name, tree) in branches.merging(snapshots, uniquingKeysWith: { $1 }) {
            let found = try volume.tree(of: name)
            if let difference = tree.difference(from: found) {
                throw failure("\(name): \(difference)")
            }
        }
        let length = try volume.length(of: ballastPath, in: Self.ballast)
        guard length == ballastBlocks * Self.block else {
            throw failure("the ballast has \(length) bytes, not \(ballastBlocks) blocks")
        }
        let labels = try volume.fileSystem.labels().count
        // adm, empty and the ballast are besides.
        guard labels == branches.count + snapshots.count + 3 else {
            throw failure("\(labels) labels, expected \(branches.count + snapshots.count + 3)")
        }
    }

    /// Opens what is on the device after a sync, as if the process had been killed.
    func stopAndCheck() throws {
        report.stops += 1
        try volume.sync()
        let image = volume.device.image
        try expectClean(image, "after a kill")
        let survivor = try StressVolume(MemoryDevice(image))
        try verify(survivor)
        try survivor.fileSystem.close()
        try expectClean(survivor.device.image, "opened after a kill and closed")
    }

    /// Repairs the volume while it is full.
    func repair() throws {
        let outcome = try volume.fileSystem.repair()
        report.unnoted += outcome.reclaimedBlocks
        guard !outcome.check.isBroken, outcome.check.totals.leakedBlocks == 0 else {
            throw failure("repair leaves \(outcome.check.counts)")
        }
    }

    /// Closes the volume; what is then on the device is whole.
    func finish() throws {
        try volume.reopen()
        try repair()
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        try expectClean(volume.device.image, "closed")
    }

    /// No errors; leaks only where a full disk kept dead blocks from being noted.
    private func expectClean(_ image: MemoryImage, _ when: String) throws {
        let check = Checker.check(MemoryDevice(image, isReadOnly: true))
        guard check.isComplete, check.errorCount == 0 else {
            throw failure("\(when): \(check.findings.prefix(3)) \(check.counts)")
        }
    }
}
