import GefsFormat
import Synchronization

/// What is used of a superblock that was found.
struct ScannedSuperblock {
    /// The block's number.
    var block: UInt64
    var snapshotTreeRoot: BlockPointer
    var commitGeneration: UInt64

    init(_ block: UInt64, _ superblock: Superblock) {
        self.block = block
        snapshotTreeRoot = superblock.snapshotTreeRoot
        commitGeneration = superblock.commitGeneration
    }
}

/// The look at every block of a device for what may be left of a volume.
///
/// Several threads share the work; each takes the next window. What cannot be read is skipped and
/// told, block by block. What a sparse file does not hold is not read.
final class RescueScan: Sendable {
    /// What a scan has found.
    struct Finds {
        /// Blocks with the form of a tree node, in the order of their places.
        var nodes: ContiguousArray<ScannedNode> = []
        /// Superblocks whose own hash is right.
        var superblocks: [ScannedSuperblock] = []
        /// Blocks that begin like those of an allocation log, in the order of their places.
        var logs: [UInt64] = []
        /// Blocks that could not be read, as ranges of bytes of the device.
        var unreadable: [Range<UInt64>] = []
        var bytesRead: UInt64 = 0
    }

    private struct State {
        var finds = Finds()
        /// Where the next window starts.
        var position: UInt64
        /// What is known to be data, from `position` on.
        var data: Range<UInt64>?
    }

    private static let windowBytes: UInt64 = 1 << 20
    private static let blockBytes = UInt64(Geometry.blockBytes)

    private let device: any BlockDevice
    /// The byte of the device that the grid of blocks starts at.
    private let start: UInt64
    /// Bytes from one place to look at to the next: a block, or a sector.
    private let step: UInt64
    private let end: UInt64
    private let state: Mutex<State>
    private let isStopped = Atomic<Bool>(false)

    /// - Parameters:
    ///   - start: the byte of the device that blocks are counted from.
    ///   - step: a block, or a sector where it is not known what blocks are aligned to.
    init(_ device: any BlockDevice, start: UInt64, step: Int = Geometry.blockBytes) {
        self.device = device
        self.start = start
        self.step = UInt64(step)
        let length = device.byteCount > start ? device.byteCount - start : 0
        end = start + length / UInt64(step) * UInt64(step)
        state = Mutex(State(position: start, data: nil))
    }

    /// Scans all of the device on two threads; the numbers of found blocks count steps.
    ///
    /// - Parameter progress: called with the bytes done on this thread; false stops the scan.
    /// - Returns: nil where it was stopped.
    func run(progress: (UInt64) -> Bool) -> Finds? {
        let helper = WorkerThread { self.work { true } }
        work {
            progress(self.state.withLock { $0.position } - self.start)
        }
        helper?.join()
        guard !isStopped.load(ordering: .relaxed) else { return nil }
        var finds = state.withLock { $0.finds }
        finds.nodes.sort { $0.block < $1.block }
        finds.superblocks.sort { $0.block < $1.block }
        finds.logs.sort()
        finds.unreadable.sort { $0.lowerBound < $1.lowerBound }
        return finds
    }

    private func work(mayGoOn: () -> Bool) {
        // Where blocks may begin at any sector, the last ones of a window end in the next one.
        let overlap = step < Self.blockBytes ? Self.blockBytes : 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(Self.windowBytes + overlap), alignment: Geometry.blockBytes)
        defer { buffer.deallocate() }
        while !isStopped.load(ordering: .relaxed), let window = nextWindow() {
            let readEnd = min(end, window.upperBound + overlap)
            let part = UnsafeMutableRawBufferPointer(
                rebasing: buffer[..<Int(readEnd - window.lowerBound)])
            var finds = Finds()
            look(at: window, part, &finds)
            state.withLock { state in
                state.finds.nodes += finds.nodes
                state.finds.superblocks += finds.superblocks
                state.finds.logs += finds.logs
                state.finds.unreadable += finds.unreadable
                state.finds.bytesRead += finds.bytesRead
            }
            if !mayGoOn() { isStopped.store(true, ordering: .relaxed) }
        }
    }

    private func nextWindow() -> Range<UInt64>? {
        state.withLock { state in
            if (state.data?.upperBound ?? 0) <= state.position {
                state.data = device.dataRange(from: state.position)
            }
            guard let data = state.data, data.lowerBound < end else {
                state.position = end
                return nil
            }
            // A block may begin in a hole and reach into the data behind it.
            let first = max(data.lowerBound, state.position)
            let back = (first - start) % Self.blockBytes
            let low = max(state.position, first - back)
            let high = min(end, low + Self.windowBytes)
            guard low < high else { return nil }
            state.position = high
            return low..<high
        }
    }

    private func look(
        at window: Range<UInt64>, _ buffer: UnsafeMutableRawBufferPointer, _ finds: inout Finds
    ) {
        do throws(DeviceError) {
            try device.read(at: window.lowerBound, into: buffer)
            finds.bytesRead += UInt64(window.count)
        } catch {
            readPieces(of: window, buffer, &finds)
        }
        let blockBytes = Geometry.blockBytes
        var offset = 0
        while offset < window.count, offset + blockBytes <= buffer.count {
            let bytes = UnsafeRawBufferPointer(rebasing: buffer[offset..<offset + blockBytes])
            let number = (window.lowerBound - start + UInt64(offset)) / step
            look(at: bytes, number, &finds)
            offset += Int(step)
        }
    }

    private func look(at bytes: UnsafeRawBufferPointer, _ number: UInt64, _ finds: inout Finds) {
        guard let base = bytes.baseAddress else { return }
        switch BlockKind(rawValue: base.loadBigEndian(at: 0, as: UInt16.self)) {
        case .pivot, .leaf:
            if let node = ScannedNode(bytes, block: number) { finds.nodes.append(node) }
        case .superblock:
            if let superblock = try? Superblock(decoding: bytes, at: .none) {
                finds.superblocks.append(ScannedSuperblock(number, superblock))
            }
        case .allocationLog:
            // What it says of its place is looked at where it is known what places are.
            finds.logs.append(number)
        case .data, .deadlist, .arena, nil:
            break
        }
    }

    /// Reads what can be read of a window, block by block; the rest becomes zeros.
    private func readPieces(
        of window: Range<UInt64>, _ buffer: UnsafeMutableRawBufferPointer, _ finds: inout Finds
    ) {
        var offset = 0
        while offset < buffer.count {
            let count = min(Geometry.blockBytes, buffer.count - offset)
            let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[offset..<offset + count])
            let place = window.lowerBound + UInt64(offset)
            do throws(DeviceError) {
                try device.read(at: place, into: piece)
                if offset < window.count { finds.bytesRead += UInt64(count) }
            } catch {
                piece.initializeMemory(as: UInt8.self, repeating: 0)
                if offset < window.count { finds.unreadable.append(place..<place + UInt64(count)) }
            }
            offset += count
        }
    }
}
