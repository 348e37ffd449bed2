import GefsFormat
import Synchronization

/// Reads data blocks and hashes them. Several threads may call `verify`; they share the work.
///
/// `BlockOwners` must not change meanwhile.
final class DataVerifier: Sendable {
    /// Blocks that one read covers, 1 MiB.
    private static let windowBlocks = 64
    /// Blocks of other kinds that are read along, rather than to interrupt a read.
    private static let gapBlocksMax = 8

    private let source: any CheckSource
    private let owners: BlockOwners
    private let nextWindow = Atomic<Int>(0)
    private let verified = Atomic<Int>(0)
    private let isStopped = Atomic<Bool>(false)
    private let found = Mutex<[(block: Int, problem: BlockFault)]>([])
    private let windowCount: Int
    /// Data blocks in all.
    let blockCount: Int

    init(_ source: any CheckSource, _ owners: BlockOwners) {
        self.source = source
        self.owners = owners
        windowCount = (owners.blockCount + Self.windowBlocks - 1) / Self.windowBlocks
        var count = 0
        for index in 0..<owners.chunkCount {
            guard let chunk = owners.chunk(index) else { continue }
            for place in 0..<BlockOwners.chunkBlocks where chunk[place].role == .data {
                count += 1
            }
        }
        blockCount = count
    }

    /// What was found, when all threads are done.
    var problems: [(block: Int, problem: BlockFault)] { found.withLock { $0 } }

    /// Blocks verified since this was last asked.
    func takeVerifiedCount() -> Int {
        verified.exchange(0, ordering: .relaxed)
    }

    /// Makes all threads return soon.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
    }

    /// Works until nothing is left to do.
    ///
    /// - Parameter mayGoOn: asked after every read; false makes it return.
    func verify(until mayGoOn: () -> Bool) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.windowBlocks * Geometry.blockBytes, alignment: Geometry.blockBytes)
        defer { buffer.deallocate() }
        while !isStopped.load(ordering: .relaxed) {
            let window = nextWindow.add(1, ordering: .relaxed).oldValue
            guard window < windowCount else { return }
            let start = window * Self.windowBlocks
            let end = min(start + Self.windowBlocks, owners.blockCount)
            guard owners.chunk(start / BlockOwners.chunkBlocks) != nil else { continue }
            if verifyWindow(start..<end, buffer), !mayGoOn() { return }
        }
    }

    /// - Returns: whether anything was read.
    private func verifyWindow(
        _ window: Range<Int>, _ buffer: UnsafeMutableRawBufferPointer
    ) -> Bool {
        var hasRead = false
        var runStart: Int?
        var runEnd = window.lowerBound
        for block in window where owners[block].role == .data {
            if let start = runStart, block - runEnd > Self.gapBlocksMax {
                verifyRun(start..<runEnd, buffer)
                hasRead = true
                runStart = block
            }
            runStart = runStart ?? block
            runEnd = block + 1
        }
        guard let start = runStart else { return hasRead }
        verifyRun(start..<runEnd, buffer)
        return true
    }

    private func verifyRun(_ run: Range<Int>, _ buffer: UnsafeMutableRawBufferPointer) {
        let part = UnsafeMutableRawBufferPointer(
            rebasing: buffer[..<(run.count * Geometry.blockBytes)])
        do throws(DeviceError) {
            try source.read(at: offset(of: run.lowerBound), into: part)
        } catch {
            // Which of the blocks it was shows when they are read one by one.
            guard run.count > 1 else { return report(run.lowerBound, .unreadable(error)) }
            for block in run where owners[block].role == .data {
                verifyRun(block..<block + 1, buffer)
            }
            return
        }
        var count = 0
        for block in run where owners[block].role == .data {
            let start = (block - run.lowerBound) * Geometry.blockBytes
            let bytes = UnsafeRawBufferPointer(
                rebasing: part[start..<start + Geometry.blockBytes])
            let hash = MetroHash64.hash(bytes)
            let expected = owners[block].hash
            if hash != expected { report(block, .hash(found: hash, expected: expected)) }
            count += 1
        }
        verified.add(count, ordering: .relaxed)
    }

    private func offset(of block: Int) -> UInt64 {
        UInt64(block) * UInt64(Geometry.blockBytes)
    }

    private func report(_ block: Int, _ problem: BlockFault) {
        found.withLock { $0.append((block, problem)) }
    }
}
