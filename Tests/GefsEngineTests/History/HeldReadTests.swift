import GefsFormat
import Testing

@testable import GefsEngine

/// Reads that take so long that everything below them is dropped, and its space taken again.
@Suite
struct HeldReadTests {
    /// A device whose reads wait while it is told so.
    private final class SlowDevice: BlockDevice, @unchecked Sendable {
        let below: MemoryDevice
        private let lock = Lock()
        /// lock.
        private var holds: Range<UInt64>?
        /// lock.
        private(set) var waiting = 0

        init(_ image: MemoryImage) { below = MemoryDevice(image) }

        var byteCount: UInt64 { below.byteCount }
        var isReadOnly: Bool { below.isReadOnly }
        var name: String { below.name }

        /// From now on reads of these bytes wait.
        func hold(_ range: Range<UInt64>) { lock.locked { holds = range } }

        func release() {
            lock.locked {
                holds = nil
                lock.signal()
            }
        }

        /// Returns when somebody waits.
        func awaitReader() {
            lock.locked {
                while waiting == 0 { lock.wait() }
            }
        }

        func read(
            at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
        ) throws(DeviceError) {
            let end = buffers.reduce(offset) { $0 + UInt64($1.count) }
            lock.locked {
                guard let range = holds, range.overlaps(offset..<end) else { return }
                waiting += 1
                lock.signal()
                while holds != nil { lock.wait() }
                waiting -= 1
            }
            try below.read(at: offset, into: buffers)
        }

        func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
            try below.write(at: offset, from: buffers)
        }

        func flush() throws(DeviceError) { try below.flush() }

        func close() { below.close() }
    }

    enum Way: String, CaseIterable, CustomTestStringConvertible, Sendable {
        case deletesSnapshots, rollsBack, rollsBackKeeping, rollsBackTwice

        var testDescription: String { rawValue }
    }

    private final class Answer: @unchecked Sendable {
        var bytes: [UInt8] = []
        var error: (any Error)?
    }

    @Test(arguments: Way.allCases)
    func `a read that began before sees what was, though the disk is filled since`(
        way: Way
    ) throws {
        let main = Array("main".utf8)
        let content = (0..<(4 * 16384)).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let made = try TestVolume()
        try made.change(.snapshot(of: main, as: Array("first".utf8)))
        try made.makeFile("file", content)
        try made.change(.snapshot(of: main, as: Array("second".utf8)))
        let qid = try made.status("file").qid.path
        try made.fileSystem.close()
        let image = made.device.image()

        let device = SlowDevice(image)
        let volume = try TestVolume(on: device, options: TestVolume.options)
        let root = try volume.fileSystem.volume.branch(main, mayBlock: true).pinBelow().version.root
        let pointers = try volume.fileSystem.volume.dataPointers(
            qid, 0..<4, in: root, mayBlock: true)
        let address = try #require(pointers.first?.address.rawValue)
        let handle = try volume.walk("file")
        try volume.fileSystem.open(handle, OpenMode(.read), as: volume.caller)
        let fork = Array("fork".utf8)
        try volume.change(.fork(of: Array("first".utf8), as: fork))

        device.hold(address..<(address + 16384))
        let answer = Answer()
        let reader = WorkerThread {
            do { answer.bytes = try volume.read(handle, count: content.count) } catch {
                answer.error = error
            }
        }
        device.awaitReader()
        // Another view: the reader's has its own label.
        let view = TestVolume(sharing: volume, label: "fork")
        switch way {
        case .deletesSnapshots:
            let writer = TestVolume(sharing: volume, label: "main")
            try writer.remove("file")
            volume.fileSystem.drainReclaims()
            try volume.change(.delete(Array("second".utf8)))
        case .rollsBack:
            try volume.change(.rollback(branch: main, to: Array("first".utf8), keeping: nil))
            try volume.change(.delete(Array("second".utf8)))
        case .rollsBackKeeping:
            let left = Array("left".utf8)
            try volume.change(.rollback(branch: main, to: Array("first".utf8), keeping: left))
            try volume.change(.delete(Array("second".utf8)), .delete(left))
        case .rollsBackTwice:
            try volume.change(.rollback(branch: main, to: Array("first".utf8), keeping: nil))
            try volume.change(.rollback(branch: main, to: Array("empty".utf8), keeping: nil))
            try volume.change(
                .delete(Array("second".utf8)), .delete(Array("first".utf8)))
        }
        try volume.fileSystem.drainHistory()
        // Whatever is free is taken.
        let block = [UInt8](repeating: 0xEE, count: 64 * 16384)
        try view.makeFile("filler")
        var offset: UInt64 = 0
        do {
            while true {
                try view.write("filler", block, at: offset)
                offset += UInt64(block.count)
            }
        } catch FileError.volumeFull {}
        #expect(offset > 100 << 20)
        try view.sync()
        device.release()
        reader?.join()
        #expect(answer.error == nil)
        let isRight = answer.bytes == content
        #expect(isRight)
        volume.fileSystem.close(handle)
        try view.remove("filler")
        volume.fileSystem.drainReclaims()
        try volume.fileSystem.drainHistory()
        try volume.fileSystem.close()
        #expect(try VolumeCheck.leaks(device.below.image) == 0)
    }
}
