import GefsFormat

/// What is written by one step of a repair, which leads from one state that can be opened or
/// repaired to another, whatever of it a crash leaves.
///
/// Source: FORMAT 9.2.
struct RepairRound {
    /// Copies of superblocks and arena headers, made from the other copy, and blocks in which one
    /// bit is wrong. Nothing that is right is overwritten.
    var copies: [StoreWrite] = []
    /// New blocks in space that nothing uses, and arena headers, whose footers are the old ones.
    var body: [StoreWrite] = []
    /// The superblock that makes the new state valid.
    var primary: [StoreWrite] = []
    /// The other superblock and the footers.
    var rest: [StoreWrite] = []

    /// Puts both superblocks of a state in.
    mutating func putSuperblocks(_ superblock: Superblock, deviceBytes: UInt64) {
        let buffer = BlockBuffer()
        superblock.encode(into: buffer.mutableBytes)
        let backup = DeviceLayout.backupSuperblock(deviceBytes: deviceBytes)
        primary.append(StoreWrite(at: BlockAddress(rawValue: 0), buffer))
        rest.append(StoreWrite(at: BlockAddress(rawValue: backup), buffer))
    }

    var writes: [StoreWrite] { copies + body + primary + rest }

    func apply(to device: any BlockDevice) throws(DeviceError) {
        for phase in [copies, body, primary, rest] where !phase.isEmpty {
            try device.write(phase)
            try device.flush()
        }
    }
}
