import GefsEngine
import GefsFormat

/// Reads the files of all labels through the engine and compares them with what the map says.
struct TreeComparison {
    /// What came of it.
    struct Result {
        var right = 0
        /// Files and directories that could not be read, with an error that names the block.
        var refused = 0
        var failures: [String] = []
    }

    let map: DiskMap
    let damage: Damage
    /// How many files of a label are read that the damage does not touch.
    let filesMax: Int
    /// Paths by label that were changed meanwhile, and labels that are gone.
    var changes = FileChanges()
    var result = Result()

    init(_ map: DiskMap, _ damage: Damage, filesMax: Int) {
        self.map = map
        self.damage = damage
        self.filesMax = filesMax
    }

    static let caller = Caller(user: UserID(rawValue: 1), isPermissive: true)

    /// Whether labels may be missing: they lie in the block.
    private var mayLackLabels: Bool {
        damage.role == .snapshotLeaf || damage.role == .snapshotPivot
    }

    mutating func compare(_ fileSystem: FileSystem, _ random: inout SampleRandom) {
        let dependents = map.dependents(of: damage.address)
        for (place, tree) in map.trees.enumerated() where !changes.removed.contains(tree.label) {
            let affected = dependents[place]
            var places = Array(tree.files.indices)
            if places.count - affected.count > filesMax {
                places = Array(affected.sorted().prefix(filesMax))
                for _ in 0..<filesMax { places.append(random.below(tree.files.count)) }
            }
            for index in places {
                let file = tree.files[index]
                let isChanged = changes.paths[tree.label]?.contains(file.path) ?? false
                guard !isChanged else { continue }
                do throws(FileError) {
                    let isSame = try isRight(file, tree, fileSystem)
                    if isSame { result.right += 1 } else { fail("differs", file, tree) }
                } catch {
                    judge(error, file, tree, mayFail: affected.contains(index))
                }
            }
        }
    }

    private mutating func fail(_ what: String, _ file: LabelTree.File, _ tree: LabelTree) {
        let label = String(decoding: tree.label, as: UTF8.self)
        result.failures.append("\(what): \(label)/\(file.name)")
    }

    private mutating func judge(
        _ error: FileError, _ file: LabelTree.File, _ tree: LabelTree, mayFail: Bool
    ) {
        if error == .unknownLabel, mayLackLabels {
            result.refused += 1
        } else if !mayFail {
            fail(
                "does not need the block \(tree.bounds(of: damage.address)), but fails (\(error))",
                file, tree)
        } else if !error.names(damage.address) {
            fail("the error does not name the block (\(error))", file, tree)
        } else {
            result.refused += 1
        }
    }

    private func isRight(
        _ file: LabelTree.File, _ tree: LabelTree, _ fileSystem: FileSystem
    ) throws(FileError) -> Bool {
        let handle = try fileSystem.handle(file.path, in: tree.label)
        defer { fileSystem.close(handle) }
        try fileSystem.open(handle, OpenMode(.read), as: Self.caller)
        if file.isDirectory { return try names(handle, fileSystem) == file.names }
        guard try fileSystem.status(handle, as: Self.caller).length == file.length else {
            return false
        }
        var buffer = [UInt8](repeating: 0xaa, count: 16 * Geometry.blockBytes)
        // Of a file with a huge hole only the beginning is looked at.
        let end = min(file.length, 64 << 20)
        var offset: UInt64 = 0
        while offset < end {
            let got = try buffer.withBytesForWriting {
                (bytes) throws(FileError) in
                try fileSystem.read(handle, at: offset, into: bytes, as: Self.caller)
            }
            guard got > 0, isSame(buffer[..<got], file, offset, tree) else { return false }
            offset += UInt64(got)
        }
        return true
    }

    private func isSame(
        _ bytes: ArraySlice<UInt8>, _ file: LabelTree.File, _ offset: UInt64, _ tree: LabelTree
    ) -> Bool {
        var rest = bytes
        var position = offset
        while !rest.isEmpty {
            let block = position / DiskMap.blockBytes
            let skip = Int(position % DiskMap.blockBytes)
            let expected = tree.content(of: file, block: block, in: map.image)
            guard skip < expected.count else { return false }
            let part = expected[skip...].prefix(rest.count)
            guard rest.starts(with: part) else { return false }
            rest = rest.dropFirst(part.count)
            position += UInt64(part.count)
        }
        return true
    }

    private func names(
        _ handle: FileHandle, _ fileSystem: FileSystem
    ) throws(FileError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        var offset: UInt64 = 0
        while true {
            let used = try fileSystem.readDirectory(handle, at: offset, as: Self.caller) { item in
                names.append(Array(item.name))
                return 1
            }
            if used == 0 { break }
            offset += UInt64(used)
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }
}

/// What a trial has changed on purpose.
struct FileChanges {
    var paths: [[UInt8]: Set<[[UInt8]]>] = [:]
    var removed: Set<[UInt8]> = []
}

extension FileSystem {
    /// A handle on a path of a label; to be closed.
    func handle(_ path: [[UInt8]], in label: [UInt8]) throws(FileError) -> FileHandle {
        let caller = TreeComparison.caller
        var handle = try attach(label, as: caller)
        for name in path {
            let directory = handle
            defer { close(directory) }
            handle = try name.withBytesForReading { (bytes) throws(FileError) -> FileHandle in
                try walk(from: directory, bytes, as: caller)
            }
        }
        return handle
    }
}

extension FileError {
    /// Whether the error says which block is damaged, and that it is this one.
    func names(_ address: UInt64) -> Bool {
        switch self {
        case .corrupt(let block): block.address.rawValue == address
        case .badRecord(_, let root): root.rawValue == address
        case .missingRoot(let root): root.rawValue == address
        case .store(let error):
            "\(error) ".contains(BlockAddress(rawValue: address).description + " ")
                || "\(error)".contains(BlockAddress(rawValue: address).description + ":")
        default: false
        }
    }
}

extension [UInt8] {
    /// `withUnsafeBytes`, with typed throws.
    func withBytesForReading<Value>(
        _ body: (UnsafeRawBufferPointer) throws(FileError) -> Value
    ) throws(FileError) -> Value {
        let result = withUnsafeBytes { (bytes) -> Swift.Result<Value, FileError> in
            do throws(FileError) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// `withUnsafeMutableBytes`, with typed throws.
    mutating func withBytesForWriting<Value>(
        _ body: (UnsafeMutableRawBufferPointer) throws(FileError) -> Value
    ) throws(FileError) -> Value {
        let result = withUnsafeMutableBytes { (bytes) -> Swift.Result<Value, FileError> in
            do throws(FileError) {
                return .success(try body(bytes))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
