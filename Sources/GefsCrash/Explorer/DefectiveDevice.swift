import GefsEngine
import GefsFormat
import Synchronization

/// A device that does what it is asked for in another order, or not at all, as an engine with a
/// defect would have asked it.
///
/// Which part of a commit a write belongs to shows by where it goes: the primary superblock is the
/// first block, the backup the last, headers and log blocks begin with their kind.
final class DefectiveDevice: BlockDevice {
    private struct Write {
        var offset: UInt64
        var bytes: [UInt8]

        var kind: UInt16 { UInt16(bytes[0]) << 8 | UInt16(bytes[1]) }
    }

    private struct State {
        /// Writes that wait for their wrong moment.
        var held: [Write] = []
        /// The last write that was not held.
        var lastOffset: UInt64?
        var lastByteCount = 0
    }

    private let below: any BlockDevice
    private let defect: Defect
    private let state = Mutex(State())

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { below.isReadOnly }
    var name: String { below.name }

    private init(_ below: any BlockDevice, _ defect: Defect) {
        self.below = below
        self.defect = defect
    }

    /// The device itself where the defect is none of a device.
    static func wrap(_ device: any BlockDevice, _ defect: Defect?) -> any BlockDevice {
        guard let defect, defect.inEngine == nil else { return device }
        return DefectiveDevice(device, defect)
    }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        try below.read(at: offset, into: buffers)
        // Held writes are done, as far as anybody who asks can tell.
        let held = state.withLock { $0.held }
        guard !held.isEmpty else { return }
        var position = offset
        for buffer in buffers {
            for write in held {
                let start = max(position, write.offset)
                let end = min(
                    position + UInt64(buffer.count), write.offset + UInt64(write.bytes.count))
                guard start < end else { continue }
                write.bytes[Int(start - write.offset)..<Int(end - write.offset)].withUnsafeBytes {
                    UnsafeMutableRawBufferPointer(
                        rebasing: buffer[Int(start - position)..<Int(end - position)]
                    ).copyMemory(from: $0)
                }
            }
            position += UInt64(buffer.count)
        }
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        let write = Write(offset: offset, bytes: buffers.flatMap { Array($0) })
        let isPrimary = offset == 0
        let isBackup = offset == backupOffset
        switch defect {
        case .flushMovedForward where !isPrimary && !isBackup:
            // The last write before a flush is always held.
            try release()
            hold(write)
            return
        case .headersBeforeLogs
        where write.bytes.count >= 2 && write.kind == BlockKind.allocationLog.rawValue:
            hold(write)
            return
        case .footerWithHeader
        where write.bytes.count == Geometry.blockBytes && write.kind == BlockKind.arena.rawValue:
            try put(write)
            // A footer lies behind its header; what lies behind a footer is left alone.
            if !isFooter(offset) {
                try put(
                    Write(offset: offset + UInt64(Geometry.blockBytes), bytes: write.bytes))
            }
            return
        case .backupWithPrimary where isPrimary:
            try put(write)
            try put(Write(offset: backupOffset, bytes: write.bytes))
            return
        default: break
        }
        if isPrimary { try release() }
        try put(write)
    }

    func flush() throws(DeviceError) {
        let last = state.withLock { $0.lastOffset }
        switch defect {
        case .noFlushBeforeSuperblock:
            if last != 0 { return }
        case .noFlushAfterSuperblock:
            if last == 0 { return }
        case .noFlushBeforeLinks:
            // It is the only one behind a whole log block.
            if isLogBlock(last) { return }
        case .flushMovedForward:
            try below.flush()
            try release()
            return
        default: break
        }
        try below.flush()
    }

    func close() {
        below.close()
    }

    private var backupOffset: UInt64 {
        byteCount - byteCount % UInt64(Geometry.blockBytes) - UInt64(Geometry.blockBytes)
    }

    private func hold(_ write: Write) {
        state.withLock { $0.held.append(write) }
    }

    private func release() throws(DeviceError) {
        let held = state.withLock { state in
            defer { state.held = [] }
            return state.held
        }
        for write in held { try put(write) }
    }

    private func put(_ write: Write) throws(DeviceError) {
        var failure: DeviceError?
        write.bytes.withUnsafeBytes { bytes in
            do throws(DeviceError) {
                try below.write(at: write.offset, from: [bytes])
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        state.withLock {
            $0.lastOffset = write.offset
            $0.lastByteCount = write.bytes.count
        }
    }

    /// Whether the block before begins as a header does.
    private func isFooter(_ offset: UInt64) -> Bool {
        guard offset >= UInt64(Geometry.blockBytes) else { return false }
        return kind(at: offset - UInt64(Geometry.blockBytes)) == BlockKind.arena.rawValue
    }

    private func isLogBlock(_ offset: UInt64?) -> Bool {
        guard let offset, offset != 0 else { return false }
        return kind(at: offset) == BlockKind.allocationLog.rawValue
            && state.withLock { $0.lastByteCount == Geometry.blockBytes }
    }

    private func kind(at offset: UInt64) -> UInt16? {
        var bytes = [UInt8](repeating: 0, count: 2)
        let isRead = bytes.withUnsafeMutableBytes { buffer in
            (try? below.read(at: offset, into: [buffer])) != nil
        }
        return isRead ? UInt16(bytes[0]) << 8 | UInt16(bytes[1]) : nil
    }
}
