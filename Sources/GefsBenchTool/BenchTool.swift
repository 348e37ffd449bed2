import ArgumentParser
import GefsBench

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Measures the engine in process; `Benchmarks/run` calls it and makes tables of what it prints.
@main
struct BenchTool: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gefs-bench",
        abstract: "Measures the engine in process.",
        discussion: """
            Each figure is a JSON object in a line. Images are made in the folder that --folder \
            names, and removed at the end.
            """,
        subcommands: [
            Micro.self, Engine.self, Files.self, Snapshots.self, Threads.self, Open.self,
            Logs.self, Fill.self, Writes.self, Memory.self, Ageing.self,
        ])

    /// Prints a row at once, so that whoever waits sees how far it is.
    static func output(_ row: BenchRow) {
        print(row.json)
        fflush(nil)
    }
}

/// Where images are made.
struct Place: ParsableArguments {
    @Option(help: "Folder for images; without one, they are in memory where that is possible.")
    var folder: String?

    /// The path of an image, removed before and after `body`.
    func withImage(_ name: String, _ body: (String) throws -> Void) throws {
        let path = (folder ?? ".") + "/gefs-bench-\(name)-\(getpid()).img"
        try? HostFile.remove(path)
        defer { try? HostFile.remove(path) }
        try body(path)
    }

    /// The same, or nil where no folder was named.
    func withOptionalImage(_ name: String, _ body: (String?) throws -> Void) throws {
        if folder == nil { try body(nil) } else { try withImage(name, body) }
    }
}

/// Numbers with commas between.
struct Counts: ExpressibleByArgument {
    var values: [Int]

    init(_ values: [Int]) {
        self.values = values
    }

    init?(argument: String) {
        let parts = argument.split(separator: ",").map { Int($0) }
        guard !parts.isEmpty, parts.allSatisfy({ ($0 ?? 0) > 0 }) else { return nil }
        values = parts.compactMap { $0 }
    }

    var defaultValueDescription: String { values.map(String.init).joined(separator: ",") }
}

extension BenchVolume.Layout: ExpressibleByArgument {}

/// `gefs-bench micro`
struct Micro: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Hash, nodes, memtable, codecs.")

    @Option(help: "Seconds for each row.")
    var seconds = 0.5

    func run() throws { try MicroBench.run(seconds: seconds, BenchTool.output) }
}

/// `gefs-bench engine`
struct Engine: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lookups, changes, listings, data and commits on one thread.")

    @OptionGroup var place: Place
    @Option(help: "Files in the directory.")
    var files = 1_000_000
    @Option(help: "Operations of a row.")
    var operations = 200_000
    @Option(help: "MiB of the file that is written and read.")
    var data = 256

    func run() throws {
        try place.withOptionalImage("engine") {
            try EngineBench.run(
                path: $0, files: files, operations: operations, dataBytes: data << 20,
                BenchTool.output)
        }
    }
}

/// `gefs-bench files`
struct Files: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Operations by how many files there are.")

    @OptionGroup var place: Place
    @Option(help: "Files at which to measure.")
    var counts = Counts([1000, 10_000, 100_000, 1_000_000, 10_000_000])
    @Option(help: "flat: all in one directory; nested: in directories of a thousand.")
    var layout = BenchVolume.Layout.flat
    @Option(help: "MiB of a cache that holds the whole tree.")
    var cache = 3072
    @Option(help: "MiB of one that holds inner nodes only.")
    var smallCache = 24
    @Option(help: "Operations of a row.")
    var operations = 100_000

    func run() throws {
        try place.withImage("files") {
            try FilesBench.run(
                path: $0,
                .init(
                    counts: counts.values, layout: layout, cacheBytes: UInt64(cache) << 20,
                    smallCacheBytes: UInt64(smallCache) << 20, operations: operations),
                BenchTool.output)
        }
    }
}

/// `gefs-bench snapshots`
struct Snapshots: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Snapshots and lookups by how many snapshots there are.")

    @OptionGroup var place: Place
    @Option(help: "Files of the tree.")
    var files = 100_000
    @Option(help: "Snapshots at which to measure.")
    var counts = Counts([1, 10, 100, 1000, 10_000])

    func run() throws {
        try place.withOptionalImage("snapshots") {
            try SnapshotsBench.run(
                path: $0, files: files, counts: counts.values, BenchTool.output)
        }
    }
}

/// `gefs-bench threads`
struct Threads: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Lookups and creations by several threads.")

    @OptionGroup var place: Place
    @Option(help: "Files of the directory that is looked at.")
    var files = 1_000_000
    @Option(help: "Numbers of threads.")
    var threads = Counts([1, 2, 4])
    @Option(help: "Operations of a row.")
    var operations = 1_000_000

    func run() throws {
        try place.withOptionalImage("threads") {
            try ThreadsBench.run(
                path: $0, files: files, threads: threads.values, operations: operations,
                BenchTool.output)
        }
    }
}

/// `gefs-bench open`
struct Open: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Opens an image some times.")

    @Argument(help: "The image.")
    var image: String
    @Option(help: "What the row is called.")
    var name = "open"
    @Option(help: "How often.")
    var rounds = 7

    func run() throws {
        try OpenBench.run(path: image, name: name, rounds: rounds, BenchTool.output)
    }
}

/// `gefs-bench logs`
struct Logs: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Opening, after many commits of scattered changes.")

    @OptionGroup var place: Place
    @Option(help: "Commits after which to measure.")
    var commits = Counts([1, 1000, 5000])

    func run() throws {
        try place.withImage("logs") {
            try OpenBench.logs(path: $0, commits: commits.values, BenchTool.output)
        }
    }
}

/// `gefs-bench fill`
struct Fill: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes an image with files, for others to work on.")

    @Argument(help: "The image, which is made with --size.")
    var image: String
    @Option(help: "GiB of a new image.")
    var size: Int?
    @Option(help: "Files that are there already.")
    var from = 0
    @Option(help: "Files that are to be there.")
    var to: Int
    @Option(help: "flat: all in one directory; nested: in directories of a thousand.")
    var layout = BenchVolume.Layout.flat
    @Option(help: "GiB of zeros in files of their own; they take no room on the disk.")
    var data = 0

    func run() throws {
        try OpenBench.fill(
            path: image, byteCount: UInt64(size ?? 0) << 30, isNew: size != nil,
            files: min(from, to)..<to, layout: layout, dataBytes: data << 30)
    }
}

/// `gefs-bench writes`
struct Writes: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What is written to the device, for creations and for commits.")

    @OptionGroup var place: Place
    @Option(help: "Files to make.")
    var files = 1_000_000
    @Option(help: "Creations between two commits: those of five seconds.")
    var commitEvery = 250_000

    func run() throws {
        try place.withOptionalImage("writes") {
            try WritesBench.run(
                path: $0, files: files, commitEvery: commitEvery, BenchTool.output)
        }
    }
}

/// `gefs-bench memory`
struct Memory: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "What is resident beside the cache's limit.")

    @OptionGroup var place: Place
    @Option(help: "Files of the tree, which has to be larger than the caches.")
    var files = 4_000_000
    @Option(help: "Limits of the cache, in MiB.")
    var caches = Counts([64, 256])

    func run() throws {
        try place.withImage("memory") {
            try MemoryBench.run(
                path: $0, files: files, caches: caches.values.map { $0 << 20 },
                BenchTool.output)
        }
    }
}

/// `gefs-bench ageing`
struct Ageing: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "An image that is four fifths full, new and after many changes.")

    @OptionGroup var place: Place
    @Option(help: "MiB of the image.")
    var size = 4096
    @Option(help: "Changes at random: those of an hour at 500 a second.")
    var operations = 1_800_000
    @Option(help: "Changes between two commits: those of five seconds.")
    var commitEvery = 2500

    func run() throws {
        try place.withOptionalImage("ageing") {
            try AgeingBench.run(
                path: $0, byteCount: size << 20, operations: operations,
                commitEvery: commitEvery, BenchTool.output)
        }
    }
}
