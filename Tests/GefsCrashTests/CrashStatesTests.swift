import GefsEngine
import Testing

@Suite struct CrashStatesTests {
    /// `count` writes of `bytes` each behind one another, then a flush.
    private func recording(_ count: Int, bytes: Int = 512) -> Recording {
        var events = (0..<count).map {
            RecordingDevice.Event.write(
                offset: UInt64($0 * bytes), bytes: [UInt8](repeating: UInt8($0 + 1), count: bytes))
        }
        events.append(.flush)
        return Recording(base: MemoryImage(byteCount: 1 << 17), events: events)
    }

    @Test func `all subsets of few writes are listed, each once, the prefixes first`() {
        let recording = recording(7)
        let states = CrashStates(recording, recording.intervals[0], seed: 1)
        var images = CrashImages(recording)
        var seen: Set<[UInt8]> = []
        for number in 0..<128 {
            let image = images.image(of: states[number]).image
            let found = (0..<7).map { image.bytes(at: UInt64($0 * 512), count: 1)[0] }
            if number <= 7 {
                let prefix = (0..<7).map { $0 < number ? UInt8($0 + 1) : 0 }
                #expect(found == prefix)
            }
            seen.insert(found)
        }
        #expect(seen.count == 128)
    }

    @Test func `a write is torn at sectors and pages, in any way`() {
        let recording = recording(2, bytes: 16384)
        let states = CrashStates(recording, recording.intervals[0], seed: 5)
        var images = CrashImages(recording)
        var prefixes: Set<Int> = []
        var scattered = 0
        for state in states {
            let bytes = images.image(of: state).image.bytes(at: 0, count: 16384)
            let sectors = stride(from: 0, to: 16384, by: 512).map { bytes[$0] }
            let isTornAtSectors = (0..<32).allSatisfy { sector in
                bytes[sector * 512..<sector * 512 + 512].allSatisfy { $0 == sectors[sector] }
            }
            #expect(isTornAtSectors)
            let kept = sectors.filter { $0 == 1 }.count
            if sectors[..<kept].allSatisfy({ $0 == 1 }) {
                prefixes.insert(kept)
            } else {
                scattered += 1
            }
        }
        #expect(prefixes.count == 33)
        #expect(scattered > 100)
    }

    @Test func `equal numbers and seeds give equal states`() {
        let recording = recording(14, bytes: 4096)
        let interval = recording.intervals[0]
        let first = CrashStates(recording, interval, seed: 9)
        let again = CrashStates(recording, interval, seed: 9)
        let isEqual = first.indices.allSatisfy { first[$0] == again[$0] }
        #expect(isEqual)
    }

    @Test func `what a flush covers is there, and a lying flush covers nothing`() {
        var recording = recording(3)
        recording.events.append(.write(offset: 8192, bytes: [9]))
        let honest = recording.intervals
        #expect(honest.map(\.writes) == [0..<3, 4..<5])
        var images = CrashImages(recording)
        let kept = CrashStates(recording, honest[1], seed: 1).allSatisfy { state in
            images.image(of: state).image.bytes(at: 1024, count: 1) == [3]
        }
        #expect(kept)
        let lying = recording.intervalsAcrossFlushes
        #expect(lying.map(\.writes) == [0..<5])
        let lost = CrashStates(recording, lying[0], seed: 1).contains { state in
            let image = images.image(of: state).image
            return image.bytes(at: 8192, count: 1) == [9] && image.bytes(at: 1024, count: 1) == [0]
        }
        #expect(lost)
    }

    @Test func `a device over another one takes the states of its recording`() throws {
        let below = MemoryDevice(MemoryImage([UInt8](repeating: 7, count: 65536)))
        let device = RecordingDevice(recordingChangesOf: OverlayDevice(over: below))
        try [UInt8](repeating: 1, count: 700).withUnsafeBytes {
            try device.write(at: 16000, from: $0)
        }
        try device.flush()
        try [UInt8](repeating: 2, count: 512).withUnsafeBytes { try device.write(at: 0, from: $0) }
        let recording = device.recording
        let states = CrashStates(recording, recording.intervals[1], seed: 1)
        for number in 0..<2 {
            let disk = OverlayDevice(over: below)
            try recording.write(states[number], to: disk)
            var bytes = [UInt8](repeating: 0, count: 65536)
            try bytes.withUnsafeMutableBytes { try disk.read(at: 0, into: $0) }
            #expect(bytes[0] == (number == 0 ? 7 : 2))
            let isThere =
                bytes[16000..<16700].allSatisfy { $0 == 1 } && bytes[15999] == 7
                && bytes[16700] == 7
            #expect(isThere)
        }
        let isUntouched = below.image == MemoryImage([UInt8](repeating: 7, count: 65536))
        #expect(isUntouched)
    }
}
