import GefsFormat

@testable import GefsEngine

/// What is done with a volume.
struct VolumeSteps: OptionSet {
    let rawValue: UInt16

    static let readOnly = VolumeSteps(rawValue: 1 << 0)
    static let permissive = VolumeSteps(rawValue: 1 << 1)
    static let checksBefore = VolumeSteps(rawValue: 1 << 2)
    static let reads = VolumeSteps(rawValue: 1 << 3)
    static let writes = VolumeSteps(rawValue: 1 << 4)
    static let changesLabels = VolumeSteps(rawValue: 1 << 5)
    static let deletes = VolumeSteps(rawValue: 1 << 6)
    static let repairs = VolumeSteps(rawValue: 1 << 7)
    static let compares = VolumeSteps(rawValue: 1 << 8)
    static let explains = VolumeSteps(rawValue: 1 << 9)
    static let rollsBack = VolumeSteps(rawValue: 1 << 10)
    static let dumps = VolumeSteps(rawValue: 1 << 11)
    static let restores = VolumeSteps(rawValue: 1 << 12)
    static let merges = VolumeSteps(rawValue: 1 << 13)

    private static let howToOpen: VolumeSteps = [.readOnly, .permissive, .checksBefore]

    /// How the volume is opened, and at most so many things to do, so that an input is quick.
    func limited(to count: Int) -> VolumeSteps {
        var kept = intersection(Self.howToOpen)
        var rest = subtracting(Self.howToOpen).rawValue
        for _ in 0..<count {
            let without = rest & (rest &- 1)
            kept.formUnion(VolumeSteps(rawValue: rest ^ without))
            rest = without
        }
        return kept
    }
}

/// Uses a volume as programs do; errors are expected everywhere and stop nothing.
struct VolumeExercise {
    private let fileSystem: FileSystem
    private let steps: VolumeSteps
    private let caller = BaseImages.caller

    private static let entriesMax = 80
    /// Files and directories of a label that are read.
    private static let filesMax = 24
    private static let depthMax = 24
    private static let labelsMax = 8

    init(_ fileSystem: FileSystem, _ steps: VolumeSteps) {
        self.fileSystem = fileSystem
        self.steps = steps
    }

    func run() {
        if steps.contains(.reads) { readAll() }
        if steps.contains(.explains) { explain() }
        if steps.contains(.compares) { compare() }
        if steps.contains(.writes) { write("main") }
        if steps.contains(.changesLabels) { changeLabels() }
        if steps.contains(.restores) { restore() }
        if steps.contains(.merges) { merge() }
        if steps.contains(.rollsBack) { rollBack() }
        if steps.contains(.deletes) { deleteLabels() }
        if steps.contains(.dumps) { dump() }
        if steps.contains(.repairs) { _ = try? fileSystem.repair() }
        fileSystem.drainReclaims()
        try? fileSystem.sync(as: caller)
    }

    private var labels: [[UInt8]] {
        Array(((try? fileSystem.labels()) ?? []).map(\.name).prefix(Self.labelsMax))
    }

    private static func name(_ text: String) -> [UInt8] { Array(text.utf8) }

    // MARK: Reading

    private func readAll() {
        for label in labels + [Self.name("dump")] {
            guard let root = try? fileSystem.attach(label, as: caller) else { continue }
            var left = Self.filesMax
            read(root, depth: 0, &left)
            fileSystem.close(root)
        }
    }

    /// Reads a file, or a directory and what is in it.
    private func read(_ handle: FileHandle, depth: Int, _ left: inout Int) {
        left -= 1
        guard let status = try? fileSystem.status(handle, as: caller) else { return }
        let copy = fileSystem.clone(handle)
        defer { fileSystem.close(copy) }
        guard (try? fileSystem.open(copy, OpenMode(.read), as: caller)) != nil else { return }
        guard handle.isDirectory else { return readData(copy, status.length) }
        guard depth < Self.depthMax else { return }
        for name in names(in: copy) where left > 0 {
            let child = name.withUnsafeBytes { bytes in
                try? fileSystem.walk(from: handle, bytes, as: caller)
            }
            guard let child else { continue }
            read(child, depth: depth + 1, &left)
            fileSystem.close(child)
        }
    }

    private func names(in handle: FileHandle) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var offset: UInt64 = 0
        while names.count < Self.entriesMax {
            var room = 64
            let count = try? fileSystem.readDirectory(handle, at: offset, as: caller) { item in
                guard room > 0 else { return nil }
                room -= 1
                names.append(Array(item.name))
                return 1
            }
            guard let count, count > 0 else { break }
            offset += UInt64(count)
        }
        return names
    }

    private func readData(_ handle: FileHandle, _ length: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: 16500, alignment: 8) { room in
            for offset in [0, length / 2, length &- 5] {
                _ = try? fileSystem.read(handle, at: offset, into: room, as: caller)
            }
        }
    }

    private func explain() {
        _ = fileSystem.settledSpace()
        _ = try? fileSystem.explainSpace()
        _ = try? fileSystem.labelSpace()
        _ = try? fileSystem.thinning(freeing: 1 << 20)
        _ = try? fileSystem.freeSpace()
        _ = try? fileSystem.memoryState()
        _ = try? fileSystem.retention()
        for label in labels { _ = try? fileSystem.retention(of: label) }
        for text in ["main~1", "main@2026-11-22", "work@-1d", "main@minute"] {
            _ = try? fileSystem.resolve(Self.name(text))
        }
    }

    private func compare() {
        let labels = labels
        for (old, new) in zip(labels, labels.dropFirst()) {
            var left = Self.entriesMax
            _ = try? fileSystem.compare(old, new) { _ in
                left -= 1
                return left > 0
            }
        }
        for path in ["a/b/c/2", "d", "none"] {
            let elements = path.split(separator: "/").map { Array($0.utf8) }
            _ = try? fileSystem.versions(of: elements, in: Self.name("main"))
        }
    }

    // MARK: Writing

    private func write(_ label: String) {
        let data = [UInt8](repeating: 0x5a, count: 20000)
        try? fileSystem.write(data, to: "fuzz", in: label, as: caller)
        for path in ["a/b/c/1", "a/b/c/3", "d/9", "users"] {
            try? fileSystem.write(data, to: path, in: label, as: caller)
        }
        try? fileSystem.sync(as: caller)
        change("a/b/c/3", in: label) { $0.length = 5000 }
        change("a/b/c/2", in: label) { $0.length = 1 << 40 }
        change("fuzz", in: label) { $0.name = Self.name("fuzz2") }
        change("a/b", in: label) { $0.mode = ModeBits.directory | 0o700 }
        for path in ["a/b/c/0", "a/small", "a/b/c", "a"] {
            guard let handle = try? fileSystem.walk(path, in: label, as: caller) else { continue }
            try? fileSystem.remove(handle, as: caller)
            fileSystem.close(handle)
        }
        removeEntries(of: "d", in: label)
        try? fileSystem.sync(as: caller)
    }

    private func change(_ path: String, in label: String, _ body: (inout AttributeChanges) -> Void)
    {
        guard let handle = try? fileSystem.walk(path, in: label, as: caller) else { return }
        defer { fileSystem.close(handle) }
        var changes = AttributeChanges()
        body(&changes)
        try? fileSystem.change(handle, changes, as: caller)
    }

    private func removeEntries(of path: String, in label: String) {
        guard let directory = try? fileSystem.walk(path, in: label, as: caller) else { return }
        defer { fileSystem.close(directory) }
        let copy = fileSystem.clone(directory)
        defer { fileSystem.close(copy) }
        guard (try? fileSystem.open(copy, OpenMode(.read), as: caller)) != nil else { return }
        for name in names(in: copy).prefix(40) {
            let child = name.withUnsafeBytes {
                try? fileSystem.walk(from: directory, $0, as: caller)
            }
            guard let child else { continue }
            try? fileSystem.remove(child, as: caller)
            fileSystem.close(child)
        }
    }

    // MARK: Labels

    private func changeLabels() {
        for label in labels {
            try? fileSystem.change(
                [.snapshot(of: label, as: label + Self.name(".s"))], as: caller)
        }
        try? fileSystem.change(
            [
                .fork(of: Self.name("one"), as: Self.name("f")),
                .rename(Self.name("two"), to: Self.name("zwei")),
            ], as: caller)
        write("f")
        write("work")
    }

    private func restore() {
        for from in ["one", "three", "two"] {
            _ = try? fileSystem.restore(
                [[Self.name("a")], [Self.name("d")]], from: Self.name(from),
                into: Self.name("main"), options: RestoreOptions(), as: caller)
        }
    }

    private func merge() {
        _ = try? fileSystem.merge(
            Self.name("work"), into: Self.name("main"), options: MergeOptions(), as: caller)
    }

    private func rollBack() {
        try? fileSystem.change(
            [
                .rollback(
                    branch: Self.name("main"), to: Self.name("one"), keeping: Self.name("kept"))
            ], as: caller)
        write("main")
    }

    private func deleteLabels() {
        for label in labels where !LabelName.reserved.contains(label) {
            _ = try? fileSystem.deletionSpace(of: [label])
            try? fileSystem.change([.delete(label)], as: caller)
        }
        var turns = 50
        try? fileSystem.drainHistory {
            turns -= 1
            return turns > 0
        }
    }

    /// Structures as `debug` shows them.
    private func dump() {
        guard let dump = try? VolumeDump(fileSystem.device) else { return }
        _ = dump.snapshotTree()
        for label in labels { _ = dump.tree(label: label) }
        for arena in 0..<8 { _ = try? dump.log(ofArena: arena) }
    }
}
