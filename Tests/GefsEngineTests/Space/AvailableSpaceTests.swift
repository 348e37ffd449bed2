import GefsFormat
import Testing

@testable import GefsEngine

/// What is said to be available, against what can be written.
struct AvailableSpaceTests {
    /// How the volume came to be as full as it is.
    enum History: CaseIterable {
        case fresh
        case filesRemoved
        case overwritten
        case snapshots
        case snapshotsDeleted
        case smallFiles
    }

    private static let mebibyte = [UInt8](repeating: 5, count: 1 << 20)

    private func prepare(_ volume: TestVolume, _ history: History) throws {
        func write(_ name: String, _ count: Int) throws {
            let handle = try volume.create(name)
            defer { volume.fileSystem.close(handle) }
            for index in 0..<count {
                try volume.write(handle, Self.mebibyte, at: UInt64(index) << 20)
            }
        }
        func change(_ changes: [HistoryChange]) throws {
            try volume.fileSystem.change(changes, as: volume.caller)
        }
        let main = Array("main".utf8)
        switch history {
        case .fresh: break
        case .filesRemoved:
            try write("a", 40)
            try write("b", 30)
            try volume.sync()
            try volume.remove("a")
            volume.fileSystem.drainReclaims()
        case .overwritten:
            try write("a", 40)
            try volume.sync()
            for index in 0..<40 {
                try volume.write("a", Self.mebibyte, at: UInt64(index) << 20)
            }
        case .snapshots, .snapshotsDeleted:
            try write("a", 10)
            for round in 0..<10 {
                try change([.snapshot(of: main, as: Array("s\(round)".utf8))])
                for index in 0..<4 {
                    try volume.write("a", Self.mebibyte, at: UInt64(index) << 20)
                }
            }
            guard history == .snapshotsDeleted else { return }
            try change((0..<10).map { .delete(Array("s\($0)".utf8)) })
            try volume.fileSystem.drainHistory()
        case .smallFiles:
            for index in 0..<2000 { try volume.makeFile("f\(index)", [1, 2, 3]) }
        }
    }

    @Test(arguments: History.allCases)
    func `what df says is available can be written, and not much more`(history: History) throws {
        let volume = try TestVolume()
        try prepare(volume, history)
        let said = volume.fileSystem.settledSpace().available
        let handle = try volume.create("fill")
        defer { volume.fileSystem.close(handle) }
        var written: UInt64 = 0
        let part = [UInt8](repeating: 9, count: 128 << 10)
        while (try? volume.write(handle, part, at: written)) != nil {
            written += UInt64(part.count)
        }
        #expect(volume.fileSystem.failure == nil)
        let allowance = said / 200 + (256 << 10)
        #expect(written + allowance >= said)
        #expect(written <= said + allowance)
    }
}
