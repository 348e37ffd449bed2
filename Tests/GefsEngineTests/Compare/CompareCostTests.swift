import GefsFormat
import Testing

@testable import GefsEngine

/// How many blocks are read to compare two states of a tree of 100,000 files.
@Suite struct CompareCostTests {
    private static let directoryCount = 100
    private static let fileCount = 1000

    /// A volume with snapshot `before` of many files, and a main that was changed by `edit`.
    private static func image(_ edit: (TestVolume) throws -> Void) throws -> MemoryImage {
        let volume = try TestVolume()
        for directory in 0..<directoryCount {
            try volume.makeDirectory("d\(directory)")
            let parent = try volume.walk("d\(directory)")
            defer { volume.fileSystem.close(parent) }
            for file in 0..<fileCount {
                let handle = volume.fileSystem.clone(parent)
                defer { volume.fileSystem.close(handle) }
                try Array("file\(file)".utf8).withBytes { (name) throws(FileError) in
                    try volume.fileSystem.create(
                        in: handle, name: name, mode: 0o644, OpenMode(.write), as: volume.caller)
                }
                if file == 0 { try volume.write(handle, [1, 2, 3], at: 0) }
            }
        }
        try volume.snapshot("before")
        try edit(volume)
        try volume.sync()
        return volume.device.image()
    }

    /// Compares in a volume that has just been opened.
    private static func compare(
        _ image: MemoryImage
    ) throws -> (lines: [String], reads: Int, counted: Int) {
        let device = CountingDevice(image)
        var options = TestVolume.options
        options.isReadOnly = true
        let fileSystem = try FileSystem.open(device, options: options)
        let before = device.blocksRead
        var lines: [String] = []
        let totals = try fileSystem.compare(Array("before".utf8), Array("main".utf8)) { change in
            lines.append(TreeContents.line(change))
            return true
        }
        let reads = device.blocksRead - before
        try fileSystem.close()
        return (lines.sorted(), reads, totals.blocksRead)
    }

    @Test func `one changed file among 100,000 is found with a few dozen blocks`() throws {
        let image = try Self.image { try $0.write("d57/file0", [9], at: 1) }
        let (lines, reads, counted) = try Self.compare(image)
        print("one file of 100,000: \(reads) blocks read")
        #expect(lines == ["changed /d57/file0 [contents modified] 1"])
        #expect(reads <= 24)
        #expect(counted == reads)
    }

    @Test func `the cost of a comparison grows with the difference`() throws {
        var all: [Int] = []
        for count in [1, 10, 100] {
            let image = try Self.image { volume in
                for index in 0..<count {
                    try volume.change("d\(index)/file7") { $0.mode = 0o600 }
                }
            }
            let (lines, reads, _) = try Self.compare(image)
            #expect(lines.count == count)
            print("\(count) files of 100,000: \(reads) blocks read")
            #expect(reads <= 16 + 8 * count)
            all.append(reads)
        }
        #expect(all[0] < all[1] && all[1] < all[2])
    }
}
