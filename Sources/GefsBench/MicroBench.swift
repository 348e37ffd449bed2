import GefsEngine
import GefsFormat
import NineP

/// The smallest parts: hash, search in a node, memtable, what goes over the wire and onto the disk.
public enum MicroBench {
    private static let section = "micro"

    /// Measures each part for `seconds`, and hands out the best of five stretches of that.
    public static func run(seconds: Double, _ output: BenchOutput) throws {
        hashes(seconds, output)
        try nodes(seconds, output)
        memtable(seconds, output)
        try entries(seconds, output)
        try messages(seconds, output)
    }

    /// Nanoseconds of one call of `body`, the best of five stretches.
    private static func nanoseconds(
        _ seconds: Double, batch: Int = 256, _ body: (Int) throws -> Void
    ) rethrows -> Double {
        var best = Double.infinity
        for _ in 0..<5 {
            let watch = Stopwatch()
            var count = 0
            while watch.seconds < seconds / 5 {
                for _ in 0..<batch {
                    try body(count)
                    count += 1
                }
            }
            best = min(best, watch.seconds / Double(count) * 1e9)
        }
        return best
    }

    private static func hashes(_ seconds: Double, _ output: BenchOutput) {
        for byteCount in [64, 512, Geometry.blockBytes] {
            let bytes = (0..<byteCount).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            var sum: UInt64 = 0
            // Each hash is the seed of the next: else it would be taken once.
            let cost = bytes.withUnsafeBytes { bytes in
                nanoseconds(seconds) { _ in sum = MetroHash64.hash(bytes, seed: sum) }
            }
            withExtendedLifetime(sum) {}
            output(
                BenchRow(
                    section, "hash \(byteCount) bytes", cost, "ns",
                    [("gigabytes_per_second", Double(byteCount) / cost)]))
        }
    }

    // MARK: Nodes

    private static let entryValue = DirectoryEntry(
        qidPath: 77, mode: 0o644, uid: 1, gid: 1, muid: 1
    ).encoded()

    private static func key(_ number: Int, _ names: BenchName) -> Key {
        Key.entry(parent: 5, name: names.set(number))
    }

    private static func nodes(_ seconds: Double, _ output: BenchOutput) throws {
        let (block, names) = (BlockBuffer(), BenchName())
        var keys: [Key] = []
        var leaf = LeafBuilder(block: block.base)
        while let last = Optional(key(keys.count, names)),
            leaf.fits(keyBytes: last.bytes.count, valueBytes: entryValue.count)
        {
            entryValue.withUnsafeBytes { value in
                last.withBytes { leaf.append(key: $0, value: value) }
            }
            keys.append(last)
        }
        _ = leaf.finish()
        let view = LeafView(unchecked: block.base)
        let order = shuffled(keys)
        var sum = 0
        let search = nanoseconds(seconds) { index in
            order[index % order.count].withBytes { sum &+= view.search($0).index }
        }
        output(BenchRow(section, "search a leaf", search, "ns", [("records", Double(keys.count))]))
        let check = try nanoseconds(seconds) { _ in
            try NodeCheck.check(block.bytes, at: BlockAddress(rawValue: 16384))
        }
        output(BenchRow(section, "check a leaf", check, "ns", [("records", Double(keys.count))]))
        let build = nanoseconds(seconds, batch: 8) { _ in
            var leaf = LeafBuilder(block: block.base)
            entryValue.withUnsafeBytes { value in
                for key in keys { key.withBytes { leaf.append(key: $0, value: value) } }
            }
            sum &+= leaf.finish()
        }
        output(
            BenchRow(
                section, "build a leaf", build, "ns",
                [("ns_per_record", build / Double(keys.count))]))
        pivots(seconds, block, names, output)
        withExtendedLifetime(sum) {}
    }

    private static func pivots(
        _ seconds: Double, _ block: BlockBuffer, _ names: BenchName, _ output: BenchOutput
    ) {
        var keys: [Key] = []
        var pivot = PivotBuilder(block: block.base)
        while let last = Optional(key(keys.count * 100, names)),
            pivot.fitsChild(keyBytes: last.bytes.count)
        {
            let pointer = BlockPointer(
                address: BlockAddress(rawValue: UInt64(keys.count + 1) * 16384), hash: 1,
                generation: Generation(rawValue: 1))
            last.withBytes { pivot.appendChild(key: $0, pointer: pointer, fill: 9000) }
            keys.append(last)
        }
        var messages = 0
        while let last = Optional(key(messages * 130, names)),
            pivot.fitsMessage(keyBytes: last.bytes.count, payloadBytes: entryValue.count)
        {
            entryValue.withUnsafeBytes { value in
                last.withBytes { pivot.appendMessage(kind: .insert, key: $0, payload: value) }
            }
            messages += 1
        }
        pivot.finish()
        let view = PivotView(unchecked: block.base)
        let order = shuffled(keys)
        var sum = 0
        let search = nanoseconds(seconds) { index in
            order[index % order.count].withBytes {
                sum &+= view.childIndex(for: $0) &+ view.firstMessage(notBelow: $0)
            }
        }
        output(
            BenchRow(
                section, "search a pivot", search, "ns",
                [("children", Double(keys.count)), ("messages", Double(messages))]))
        withExtendedLifetime(sum) {}
    }

    private static func shuffled(_ keys: [Key]) -> [Key] {
        var (keys, random) = (keys, BenchRandom(1))
        for index in stride(from: keys.count - 1, to: 0, by: -1) {
            keys.swapAt(index, random.below(index + 1))
        }
        return keys
    }

    // MARK: The memtable

    private static func memtable(_ seconds: Double, _ output: BenchOutput) {
        // As many keys as are gathered before a flush.
        let count = max(1000, min(100_000, Int(seconds * 1_000_000)))
        let names = BenchName()
        let ascending = (0..<count).map { key($0, names) }
        let random = shuffled(ascending)
        for (name, keys) in [("ascending", ascending), ("random", random)] {
            var (put, find, bytes) = (Double.infinity, Double.infinity, 0)
            for _ in 0..<5 {
                let table = Memtable()
                var watch = Stopwatch()
                entryValue.withUnsafeBytes { value in
                    for key in keys {
                        key.withBytes { table.put($0, value, presentBelow: false) }
                    }
                }
                put = min(put, watch.seconds)
                watch = Stopwatch()
                for key in random {
                    key.withBytes {
                        // All were put above, and nothing else is in the table.
                        guard case .value = table.lookup($0) else {
                            preconditionFailure("a key is missing")
                        }
                    }
                }
                find = min(find, watch.seconds)
                bytes = table.byteCount
            }
            let scale = 1e9 / Double(count)
            output(
                BenchRow(
                    section, "memtable insert, \(name)", put * scale, "ns",
                    [("keys", Double(count)), ("bytes_per_key", Double(bytes) / Double(count))]))
            if name == "random" {
                output(
                    BenchRow(
                        section, "memtable lookup, random", find * scale, "ns",
                        [("keys", Double(count))]))
            }
        }
    }

    // MARK: Codecs

    private static func entries(_ seconds: Double, _ output: BenchOutput) throws {
        let entry = DirectoryEntry(
            qidPath: 77, mode: 0o644, accessTime: 5, modificationTime: 6, length: 7, uid: 1,
            gid: 1, muid: 1)
        let memory = BlockBuffer()
        let encode = nanoseconds(seconds) { _ in entry.encode(into: memory.base) }
        output(BenchRow(section, "encode a directory entry", encode, "ns"))
        let bytes = UnsafeRawBufferPointer(rebasing: memory.bytes[..<DirectoryEntry.byteCount])
        var sum: UInt64 = 0
        let decode = try nanoseconds(seconds) { _ in
            sum &+= try DirectoryEntry(decoding: bytes).qidPath
        }
        withExtendedLifetime(sum) {}
        output(BenchRow(section, "decode a directory entry", decode, "ns"))
    }

    private static func messages(_ seconds: Double, _ output: BenchOutput) throws {
        let memory = BlockBuffer()
        let names = [Array("src".utf8), Array("main.c".utf8)]
        let size = try Twalk.encode(
            tag: Tag(rawValue: 3), fid: FidNumber(rawValue: 1), newFid: FidNumber(rawValue: 2),
            names: names, into: memory.mutableBytes)
        let frame = UnsafeRawBufferPointer(rebasing: memory.bytes[..<size])
        var sum = 0
        let decode = try nanoseconds(seconds) { _ in
            guard let frame = try Frame(firstOf: frame, limit: 8192) else { return }
            if case .walk(let walk) = try Request(frame) {
                for name in walk.names { sum &+= name.count }
            }
        }
        output(BenchRow(section, "decode Twalk of two names", decode, "ns"))
        withExtendedLifetime(sum) {}
        var stat = Stat()
        let (reply, text) = (BlockBuffer(), Array("glenda".utf8))
        let encode = try text.withUnsafeBytes { text in
            (stat.name, stat.user, stat.group, stat.lastModifier) = (text, text, text, text)
            let answer = Rstat(stat: stat)
            return try nanoseconds(seconds) { _ in
                sum &+= try answer.encode(tag: Tag(rawValue: 3), into: reply.mutableBytes)
            }
        }
        output(BenchRow(section, "encode Rstat", encode, "ns"))
    }
}
