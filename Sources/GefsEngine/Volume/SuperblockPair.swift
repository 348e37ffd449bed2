import GefsFormat

/// The two superblocks of a device as found.
///
/// Source: FORMAT 3, "Load rule".
struct SuperblockPair: Sendable {
    /// What each copy holds, or why it cannot be used.
    let primary: Result<Superblock, ReadError>
    let backup: Result<Superblock, ReadError>
    /// Where the backup lies.
    let backupAddress: BlockAddress

    /// Reads both copies.
    init(reading device: any BlockDevice) {
        backupAddress = BlockAddress(
            rawValue: DeviceLayout.backupSuperblock(deviceBytes: device.byteCount))
        primary = Self.read(BlockAddress(rawValue: 0), device)
        backup = Self.read(backupAddress, device)
    }

    /// The primary if it is usable, else the backup.
    func loaded() throws(ReadError) -> Superblock {
        if case .success(let superblock) = primary { return superblock }
        if case .success(let superblock) = backup { return superblock }
        return try primary.get()
    }

    /// Whether both copies are usable and equal.
    var agree: Bool {
        guard case .success(let first) = primary, case .success(let second) = backup else {
            return false
        }
        return first == second
    }

    private static func read(
        _ address: BlockAddress, _ device: any BlockDevice
    ) -> Result<Superblock, ReadError> {
        let buffer = BlockBuffer()
        do throws(DeviceError) {
            try device.read(at: address.rawValue, into: buffer.mutableBytes)
        } catch {
            return .failure(.device(error))
        }
        do throws(CorruptBlock) {
            return .success(try Superblock(decoding: buffer.bytes, at: address))
        } catch {
            return .failure(.corrupt(error))
        }
    }
}
