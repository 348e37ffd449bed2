import GefsEngine
import GefsFormat

/// Something that is done to a volume while the device records, and how the volume was made before.
struct CrashWorkload: Sendable {
    var name: String
    /// What it is about, in one line.
    var summary: String
    /// So little happens that every state is looked at, and every pair of crashes.
    var isSmall = false
    /// What the volume has beyond the original's format.
    var features: FormatFeatures = []
    var arenaCount = 8
    /// Blocks of each arena. Of these 32 are the reserve, 2 are never used, the log takes one.
    var arenaBlocks: UInt64 = 96
    /// Blocks that a commit takes from one arena before the next gets its turn.
    var stretchBlocks = 2048
    /// Logs up to this length are left alone.
    var logBlocksMin = 16
    /// Longer ones are compressed when they are so many times as long as they could be.
    var logGrowthMax = 4
    /// The disk has leaked blocks, which a repair is to find.
    var repairsLeaks = false
    /// What is done before the device records. The volume is closed after it.
    var prepare: @Sendable (ModelledRun) throws -> Void = { _ in }
    /// What is then done to the disk itself.
    var forge: @Sendable (inout MemoryImage) -> Void = { _ in }
    /// What is recorded first, before the volume is opened.
    var prologue: @Sendable (any BlockDevice) throws -> Void = { _ in }
    /// What is recorded.
    var record: @Sendable (ModelledRun) throws -> Void

    /// Nothing happens by itself, time stands still, and what takes several commits takes many.
    var options: VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 4 << 20
        options.pruneBlocksMax = 5
        options.backlogBlocksMax = 1
        options.arenaStretchBlocks = stretchBlocks
        options.logBlocksMin = logBlocksMin
        options.logGrowthMax = logGrowthMax
        options.clock = { 1_700_000_000_000_000_000 }
        return options
    }

    /// A volume as the workload wants to find it, and what it holds.
    func prepared(seed: UInt64) throws -> (image: MemoryImage, workload: HistoryWorkload) {
        let blockBytes = UInt64(Geometry.blockBytes)
        let device = MemoryDevice(
            byteCount: (2 + UInt64(arenaCount) * (arenaBlocks + 2)) * blockBytes)
        try Ream.runOnAny(
            device, user: "glenda", arenaCount: arenaCount, features: features)
        let run = try ModelledRun(
            image: device.image, workload: HistoryWorkload(seed: seed), options: options)
        try prepare(run)
        try run.close()
        var image = run.device.image()
        forge(&image)
        return (image, run.workload)
    }

    /// Does it all.
    func recorded(seed: UInt64, defect: Defect?) throws -> ModelledRun {
        let (image, workload) = try prepared(seed: seed)
        let run = try ModelledRun(
            image: image, workload: workload, options: options, defect: defect, prologue: prologue)
        defer { run.fileSystem.abandon() }
        try record(run)
        return run
    }
}
