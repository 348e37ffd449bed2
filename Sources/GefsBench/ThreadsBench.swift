import GefsEngine
import Synchronization

/// Lookups and creations by several threads at once.
public enum ThreadsBench {
    private static let section = "threads"

    /// - Parameter operations: of each number of threads, all of its threads together.
    public static func run(
        path: String?, files: Int, threads: [Int], operations: Int, _ output: BenchOutput
    ) throws {
        let volume = try BenchVolume(making: path, byteCount: 16 << 30)
        try volume.fill(0..<files, .flat)
        try volume.sync()
        for count in threads {
            for (name, isCreation) in [("lookup, random", false), ("create, own directory", true)] {
                try measure(volume, count, name, isCreation, files, operations, output)
            }
        }
        try volume.close()
    }

    private static func measure(
        _ volume: BenchVolume, _ threads: Int, _ name: String, _ isCreation: Bool, _ files: Int,
        _ operations: Int, _ output: BenchOutput
    ) throws {
        let share = operations / threads
        let failures = Mutex<[String]>([])
        let shared = SharedVolume(volume)
        // Directories are there before, and for lookups the nodes are loaded.
        for thread in 0..<threads {
            try volume.withDirectory("threads/\(threads)/\(thread)") { _ in }
        }
        if !isCreation { try lookUp(volume, files, files, seed: 99) }
        let watch = Stopwatch()
        var running: [WorkerThread] = []
        for thread in 0..<threads {
            let worker = WorkerThread {
                do {
                    if isCreation {
                        try create(shared.volume, "threads/\(threads)/\(thread)", share)
                    } else {
                        try lookUp(shared.volume, files, share, seed: UInt64(thread + 1))
                    }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            if let worker { running.append(worker) }
        }
        for worker in running { worker.join() }
        if isCreation { try volume.sync() }
        if let failure = failures.withLock({ $0.first }) { throw ThreadFailure(text: failure) }
        let done = Double(share * threads)
        output(
            BenchRow(
                section, name, done / watch.seconds, "/s",
                [
                    ("threads", Double(threads)),
                    ("cpu_us", watch.processorSeconds / done * 1e6),
                ]))
    }

    private static func lookUp(
        _ volume: BenchVolume, _ files: Int, _ count: Int, seed: UInt64
    ) throws {
        var random = BenchRandom(seed)
        let names = BenchName()
        try volume.withDirectory("one") { directory in
            for _ in 0..<count {
                try volume.status(2 * random.below(files), in: directory, names)
            }
        }
    }

    private static func create(_ volume: BenchVolume, _ path: String, _ count: Int) throws {
        let names = BenchName()
        try volume.withDirectory(path) { directory in
            for index in 0..<count { try volume.create(index, in: directory, names) }
        }
    }
}

/// What went wrong on a thread.
struct ThreadFailure: Error, CustomStringConvertible {
    var text: String
    var description: String { text }
}

/// A volume that threads use at once: they only call its file system, which bears that.
private final class SharedVolume: @unchecked Sendable {
    let volume: BenchVolume

    init(_ volume: BenchVolume) {
        self.volume = volume
    }
}
