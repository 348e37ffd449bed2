import GefsFormat
import Testing

@testable import GefsEngine

/// Trees with a path for every bit pattern, so that whoever walks all paths never ends.
@Suite struct HostileTreeTests {
    /// A volume in whose branch main each of 50 pivots has the same child on both sides of a key.
    private func image(around key: Key, leaf: Bool) -> MemoryImage {
        var plan = VolumePlan()
        plan.arenaBlocks = 128
        plan.users = "-1:adm::\n0:none::\n1:glenda:glenda:\n"
        plan.repeatedLevels = 50
        plan.repeatedKey = key
        plan.repeatsLeaf = leaf
        plan.snapshots[plan.place(5)].height = leaf ? 51 : 52
        return ForgedVolume(plan).image
    }

    private static let keys = [
        Key.data(10, offset: 0), .entry(parent: 0, name: "b".utf8), .up(.max),
    ]

    @Test(arguments: keys, [false, true])
    func `files are listed, read and changed, or refused`(key: Key, leaf: Bool) throws {
        let volume = try TestVolume(image: image(around: key, leaf: leaf))
        if let names = try? volume.list("") { #expect(Set(names).count == names.count) }
        for name in ["a", "b", "dir/sub/x"] { _ = try? volume.read(name) }
        try? volume.makeFile("new", [1, 2, 3])
        try? volume.remove("a")
        try? volume.change(.snapshot(of: Array("main".utf8), as: Array("old".utf8)))
        try? volume.sync()
        try? volume.change(.delete(Array("main".utf8)))
        try? volume.fileSystem.close()
    }

    @Test(arguments: keys, [false, true])
    func `a rescue and a repair come to an end`(key: Key, leaf: Bool) throws {
        let image = image(around: key, leaf: leaf)
        let rescue = try Rescue(MemoryDevice(image, isReadOnly: true))
        #expect(!rescue.trees.isEmpty)
        let repair = DeviceRepair.plan(MemoryDevice(image))
        #expect(!repair.notes.isEmpty)
    }

    @Test(arguments: [false, true])
    func `a snapshot tree of that kind comes to an end`(hasSuperblocks: Bool) throws {
        var plan = VolumePlan()
        plan.arenaBlocks = 128
        plan.repeatedSnapshotLevels = 50
        var image = ForgedVolume(plan).image
        _ = try? TestVolume(image: image)
        if !hasSuperblocks {
            let backup = SuperblockPair(reading: MemoryDevice(image)).backupAddress
            for address in [0, backup.rawValue] {
                [UInt8](repeating: 0, count: 512).withUnsafeBytes { image.write($0, at: address) }
            }
        }
        _ = try? Rescue(MemoryDevice(image, isReadOnly: true))
        let repair = DeviceRepair.plan(MemoryDevice(image))
        #expect(repair.obstacle != nil || !repair.notes.isEmpty)
    }
}
