import GefsFormat

/// What can be wrong with the device, its superblocks, or the checking itself.
public enum VolumeFault: Hashable, Sendable {
    /// Which superblock.
    public enum Copy: Hashable, Sendable {
        /// The one in the first block.
        case primary
        /// The one in the last block.
        case backup
    }

    /// The device is too short to hold a volume.
    case tooShort(byteCount: UInt64)
    /// The device is longer than the checker can keep books of.
    case tooLong(byteCount: UInt64)
    /// A superblock cannot be used.
    case superblockUnusable(Copy, CorruptBlock)
    /// A superblock cannot be read.
    case superblockUnreadable(Copy, BlockAddress, DeviceError)
    /// Neither superblock can be used: nothing else can be checked.
    case noSuperblock
    /// The superblocks are of different commits; the first is used.
    case superblocksDiffer(primary: UInt64, backup: UInt64)
    /// So many generations or commits were counted that soon no superblock can hold the next number.
    /// Nobody gets there by writing.
    case numbersRunOut(UInt64)
    /// A block cannot be read.
    case unreadable(BlockAddress, DeviceError)

    var address: BlockAddress? {
        switch self {
        case .superblockUnusable(_, let corrupt): corrupt.address
        case .superblockUnreadable(_, let address, _), .unreadable(let address, _): address
        case .tooShort, .tooLong, .noSuperblock, .superblocksDiffer, .numbersRunOut: nil
        }
    }
}

extension VolumeFault: Fault {
    var severity: Finding.Severity {
        switch self {
        case .superblocksDiffer: .warning
        case .numbersRunOut: .note
        default: .error
        }
    }

    var kind: String {
        switch self {
        case .tooShort: "volume.tooShort"
        case .tooLong: "volume.tooLong"
        case .superblockUnusable: "volume.superblockUnusable"
        case .superblockUnreadable: "volume.superblockUnreadable"
        case .noSuperblock: "volume.noSuperblock"
        case .superblocksDiffer: "volume.superblocksDiffer"
        case .numbersRunOut: "volume.numbersRunOut"
        case .unreadable: "volume.unreadable"
        }
    }

    /// What is wrong.
    public var description: String {
        switch self {
        case .tooShort(let byteCount): "the device has only \(byteCount) bytes"
        case .tooLong(let byteCount): "the device has \(byteCount) bytes, too many to check"
        case .superblockUnusable(let copy, let corrupt):
            "\(copy) superblock at \(corrupt.address): \(corrupt.reason)"
        case .superblockUnreadable(let copy, let address, let error):
            "\(copy) superblock at \(address): \(error)"
        case .noSuperblock: "no superblock is usable"
        case .superblocksDiffer(let primary, let backup):
            "superblocks differ (commit \(primary) and \(backup)): interrupted commit"
        case .numbersRunOut(let number): "number \(number) leaves few for later commits"
        case .unreadable(let address, let error): "block \(address): \(error)"
        }
    }
}

extension VolumeFault.Copy: CustomStringConvertible {
    /// `primary` or `backup`.
    public var description: String {
        switch self {
        case .primary: "primary"
        case .backup: "backup"
        }
    }
}
