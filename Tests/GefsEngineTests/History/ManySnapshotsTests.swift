import GefsFormat
import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Thousands of snapshots of a small changing tree, deleted in random order.
@Suite
struct ManySnapshotsTests {
    /// `GEFS_SNAPSHOTS` of them.
    private static let count =
        getenv("GEFS_SNAPSHOTS").flatMap { Int(String(cString: $0)) } ?? 2000

    @Test
    func `thousands of snapshots are made and deleted in random order, and nothing leaks`() throws {
        let device = MemoryDevice(byteCount: UInt64((256 << 20) + (Self.count << 18)))
        try Ream.run(device: device, user: "glenda")
        let fileSystem = try FileSystem.open(device, options: TestVolume.options)
        let caller = Caller(user: TestVolume.user, isPermissive: true)
        var generator = SeededGenerator(seed: 10_000)
        let main = Array("main".utf8)
        for index in 0..<200 {
            try fileSystem.write(Self.content(index, 0), to: "f\(index)", in: "main", as: caller)
        }
        var versions = [Int](repeating: 0, count: 200)
        var models: [Int: [Int]] = [:]
        for number in 1...Self.count {
            for _ in 0..<3 {
                let file = Int.random(in: 0..<200, using: &generator)
                versions[file] = number
                try fileSystem.write(
                    Self.content(file, number), to: "f\(file)", in: "main", as: caller)
            }
            try fileSystem.change(
                [.snapshot(of: main, as: Self.name(number))], as: caller)
            models[number] = versions
            // Some go while others come.
            if number % 5 == 0, let gone = models.keys.sorted().randomElement(using: &generator) {
                try fileSystem.change([.delete(Self.name(gone))], as: caller)
                models[gone] = nil
            }
        }
        try fileSystem.drainHistory()
        let before = Checker.check(device.image)
        #expect(before.errorCount == 0)
        #expect(before.totals.leakedBlocks == 0)
        var left = models.keys.sorted().shuffled(using: &generator)
        while !left.isEmpty {
            let some = left.prefix(Int.random(in: 1...20, using: &generator))
            try fileSystem.change(some.map { .delete(Self.name($0)) }, as: caller)
            left.removeFirst(some.count)
            guard let probe = left.first, let model = models[probe] else { continue }
            let file = Int.random(in: 0..<200, using: &generator)
            let label = String(decoding: Self.name(probe), as: UTF8.self)
            let bytes = try fileSystem.contents(of: "f\(file)", in: label, as: caller)
            let isRight = bytes == Self.content(file, model[file])
            #expect(isRight, "\(label): f\(file)")
        }
        try fileSystem.drainHistory()
        try fileSystem.close()
        let after = Checker.check(device.image)
        #expect(after.errorCount == 0)
        #expect(after.warningCount == 0)
        #expect(after.totals.leakedBlocks == 0)
        #expect(after.totals.snapshots == 3)
        #expect(after.totals.deadlists == 0)
    }

    private static func name(_ number: Int) -> [UInt8] { Array("s\(number)".utf8) }

    private static func content(_ file: Int, _ version: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: file &+ version &* 7), count: 100 + file)
    }
}
