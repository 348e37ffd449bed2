import GefsFormat

/// Finds the bit that has to be inverted for a damaged block to have its hash again.
///
/// That a wrong bit among 131,072 should lead to the right 64-bit hash is out of the question, so
/// this is no guess. A flipped bit is what memory and some disks do; damage of other kinds is left
/// to the repair of trees.
struct BitCorrection {
    private(set) var writes: [StoreWrite] = []
    private(set) var notes: [RepairNote] = []
    /// Pointers to file data, without generation, that are right again.
    private(set) var corrected: Set<BlockPointer> = []

    /// At a fifth of a second each.
    static let blocksMax = 128

    /// - Parameter tried: blocks that were looked at, which are not looked at again.
    init(_ device: any BlockDevice, _ report: CheckReport, tried: inout Set<BlockAddress>) {
        for finding in report.findings {
            guard case .block(let address, let use, .hash(_, let expected)) = finding.what,
                tried.count < Self.blocksMax, tried.insert(address).inserted
            else { continue }
            let buffer = BlockBuffer()
            do throws(DeviceError) {
                try device.read(at: address.rawValue, into: buffer.mutableBytes)
            } catch {
                continue
            }
            guard let note = Self.correct(buffer, at: address, expecting: expected) else {
                continue
            }
            writes.append(StoreWrite(at: address, buffer))
            if case .data = use {
                corrected.insert(
                    BlockPointer(address: address, hash: expected, generation: .zero))
            }
            notes.append(note)
        }
    }

    /// Inverts the bit that is wrong, if it is only one.
    static func correct(
        _ buffer: BlockBuffer, at address: BlockAddress, expecting hash: UInt64
    ) -> RepairNote? {
        guard let bit = MetroHash64.flippedBit(in: buffer.bytes, expecting: hash) else {
            return nil
        }
        buffer.mutableBytes[bit / 8] ^= 1 << UInt8(bit % 8)
        return RepairNote(
            .mended, "block", "\(address): bit \(bit % 8) of byte \(bit / 8) was inverted")
    }
}
