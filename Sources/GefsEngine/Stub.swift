import GefsFormat
final class LogWrites { func writeBeforeSuperblock(to: any BlockDevice) throws(DeviceError) {}; func writeFooters(to: any BlockDevice) throws(DeviceError) {} }
final class ArenaSet: @unchecked Sendable {
    var count: Int { 0 }
    var usedBlocks: Int { 0 }
    var freeBlocksAboveReserve: Int { 0 }
    var reserveBlocks: Int { 0 }
    var references: [Superblock.ArenaReference] { [] }
    var usage: [SpaceReport.Arena] { [] }
    static func load(device: any BlockDevice, superblock: Superblock) throws(FileError) -> ArenaSet { ArenaSet() }
    func repairCopies(device: any BlockDevice) throws(DeviceError) -> Bool { false }
    func allocateNode(useReserve: Bool) -> BlockAddress? { nil }
    func allocateRun(upTo: Int, hint: UInt64, useReserve: Bool) -> BlockRun? { nil }
    func release(_ a: BlockAddress) {}
    func isAllocated(_ a: BlockAddress) -> Bool { false }
    func planCompression() -> [BlockAddress] { [] }
    func prepareCommit(barrier: UInt64, lastDurable: UInt64) throws(FileError) -> LogWrites { LogWrites() }
    func didCommit() {}
}
