import GefsEngine
import GefsFormat

/// Goes on to work with a volume that has a damaged block.
struct TrialWriter {
    let map: DiskMap
    let damage: Damage
    var changes = FileChanges()
    /// Operations that were refused.
    var refused = 0
    var failures: [String] = []

    init(map: DiskMap, damage: Damage) {
        self.map = map
        self.damage = damage
    }

    mutating func run(_ fileSystem: FileSystem, _ random: inout SampleRandom) {
        let branches = map.trees.filter { $0.isMutable && $0.label != Array("adm".utf8) }
        for _ in 0..<min(3, branches.count) {
            change(branches[random.below(branches.count)], fileSystem, &random)
        }
        changeLabels(branches, fileSystem, &random)
        attempt { () throws(FileError) in try fileSystem.sync(as: TreeComparison.caller) }
        attempt { () throws(FileError) in try fileSystem.drainHistory() }
        fileSystem.drainReclaims()
        attempt { () throws(FileError) in try fileSystem.close() }
    }

    /// An operation that may be refused, if the error says why.
    private mutating func attempt(_ body: () throws(FileError) -> Void) {
        do throws(FileError) {
            try body()
        } catch .readOnly {
            // What failed before has said why.
            refused += 1
        } catch {
            refused += 1
            if !error.names(damage.address), !damage.isOfLink(map), error != .unknownLabel {
                failures.append("writing: \(error)")
            }
        }
    }

    private mutating func change(
        _ tree: LabelTree, _ fileSystem: FileSystem, _ random: inout SampleRandom
    ) {
        let caller = TreeComparison.caller
        let name = Array("damaged-\(random.next() % 1000)".utf8)
        let bytes = [UInt8](repeating: 7, count: 40_000)
        changes.paths[tree.label, default: []].insert([])
        attempt { () throws(FileError) in
            let handle = try fileSystem.handle([], in: tree.label)
            defer { fileSystem.close(handle) }
            do throws(FileError) {
                try name.withBytesForReading { (name) throws(FileError) in
                    try fileSystem.create(
                        in: handle, name: name, mode: 0o644, OpenMode(.readWrite), as: caller)
                }
            } catch .exists {
                return
            }
            _ = try bytes.withBytesForReading { (bytes) throws(FileError) in
                try fileSystem.write(handle, at: 0, from: bytes, as: caller)
            }
        }
        let files = tree.files.filter { !$0.isDirectory }
        guard !files.isEmpty else { return }
        let written = files[random.below(files.count)]
        changes.paths[tree.label, default: []].insert(written.path)
        let offset = UInt64(random.below(Int(min(written.length + 1000, 1 << 20))))
        attempt { () throws(FileError) in
            do throws(FileError) {
                let handle = try fileSystem.handle(written.path, in: tree.label)
                defer { fileSystem.close(handle) }
                try fileSystem.open(handle, OpenMode(.write), as: caller)
                _ = try bytes.withBytesForReading { (bytes) throws(FileError) in
                    try fileSystem.write(handle, at: offset, from: bytes, as: caller)
                }
            } catch .notFound {
                // Removed by a change before.
            }
        }
        let removed = files[random.below(files.count)]
        changes.paths[tree.label, default: []].insert(removed.path)
        changes.paths[tree.label, default: []].insert(Array(removed.path.dropLast()))
        attempt { () throws(FileError) in
            do throws(FileError) {
                let handle = try fileSystem.handle(removed.path, in: tree.label)
                try fileSystem.remove(handle, as: caller)
            } catch .notFound {
                // Removed by a change before.
            }
        }
    }

    private mutating func changeLabels(
        _ branches: [LabelTree], _ fileSystem: FileSystem, _ random: inout SampleRandom
    ) {
        let caller = TreeComparison.caller
        if !branches.isEmpty {
            let branch = branches[random.below(branches.count)].label
            attempt { () throws(FileError) in
                try fileSystem.change(
                    [.snapshot(of: branch, as: Array("damaged".utf8))], as: caller)
            }
        }
        let snapshots = map.trees.filter { !$0.isMutable && $0.label != Array("empty".utf8) }
        guard !snapshots.isEmpty else { return }
        for _ in 0..<2 {
            let snapshot = snapshots[random.below(snapshots.count)].label
            guard changes.removed.insert(snapshot).inserted else { continue }
            attempt { () throws(FileError) in
                try fileSystem.change([.delete(snapshot)], as: caller)
            }
        }
    }
}
