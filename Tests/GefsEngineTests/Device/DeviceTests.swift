import Testing

@testable import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A path in the folder for temporary files that nobody else uses.
private func temporaryPath() -> String {
    "/tmp/gefs-device-test-\(getpid())-\(UInt64.random(in: 0..<UInt64.max))"
}

@Suite struct FileDeviceTests {
    @Test func `what was written is read, in pieces of any size`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let device = try FileDevice.create(path: path, byteCount: 100_000, preallocate: true)
        #expect(device.byteCount == 100_000)
        let parts: [[UInt8]] = (0..<3000).map { index in
            [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: index % 40)
        }
        let all = parts.flatMap { $0 }
        // More buffers than one vectored call takes.
        let memory = parts.map { part -> UnsafeMutableRawBufferPointer in
            let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: part.count, alignment: 1)
            copy.copyBytes(from: part)
            return copy
        }
        defer { memory.forEach { $0.deallocate() } }
        try device.write(at: 7, from: memory.map { UnsafeRawBufferPointer($0) })
        try device.flush()
        for buffer in memory { buffer.initializeMemory(as: UInt8.self, repeating: 0) }
        try device.read(at: 7, into: memory)
        #expect(memory.flatMap { Array($0) } == all)
        var whole = [UInt8](repeating: 0, count: all.count)
        try whole.withUnsafeMutableBytes { try device.read(at: 7, into: $0) }
        #expect(whole == all)
    }

    @Test func `nothing is transferred past the end`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let device = try FileDevice.create(path: path, byteCount: 1000)
        var bytes = [UInt8](repeating: 1, count: 10)
        for offset in [UInt64(991), 1000, .max] {
            let expected = DeviceError.pastEnd(offset: offset, byteCount: 10, deviceBytes: 1000)
            #expect(throws: expected) {
                try bytes.withUnsafeMutableBytes { try device.read(at: offset, into: $0) }
            }
            #expect(throws: expected) {
                try bytes.withUnsafeBytes { try device.write(at: offset, from: [$0]) }
            }
        }
        try device.extend(to: 2000)
        try bytes.withUnsafeBytes { try device.write(at: 991, from: $0) }
        #expect(truncate(path, 995) == 0)
        #expect(throws: DeviceError.pastEnd(offset: 991, byteCount: 10, deviceBytes: 995)) {
            try bytes.withUnsafeMutableBytes { try device.read(at: 991, into: $0) }
        }
    }

    @Test func `a writer excludes everybody, readers share`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let writer = try FileDevice.create(path: path, byteCount: 1000)
        #expect(throws: DeviceError.alreadyExists(path: path)) {
            try FileDevice.create(path: path, byteCount: 1000)
        }
        #expect(throws: DeviceError.busy(path: path)) {
            try FileDevice(path: path, access: .readOnly)
        }
        writer.close()
        let first = try FileDevice(path: path, access: .readOnly)
        let second = try FileDevice(path: path, access: .readOnly)
        #expect(throws: DeviceError.busy(path: path)) {
            try FileDevice(path: path, access: .readWrite)
        }
        #expect(first.isReadOnly && second.byteCount == 1000)
        #expect(throws: DeviceError.readOnly) {
            try [UInt8(1)].withUnsafeBytes { try first.write(at: 0, from: $0) }
        }
        #expect(throws: DeviceError.readOnly) { try first.flush() }
    }

    @Test func `a closed device is free even while a child is being started`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let writer = try FileDevice.create(path: path, byteCount: 1000)
        // What a child has between fork and exec.
        let inherited = dup(writer.descriptor.load(ordering: .relaxed))
        defer { close(inherited) }
        writer.close()
        #expect(throws: Never.self) { try FileDevice(path: path, access: .readWrite).close() }
    }

    @Test func `what is no file or disk is refused`() {
        #expect(throws: DeviceError.notFound(path: "/nonexistent/x")) {
            try FileDevice(path: "/nonexistent/x", access: .readOnly)
        }
        #expect(throws: DeviceError.unsuitable(path: "/tmp")) {
            try FileDevice(path: "/tmp", access: .readOnly)
        }
        #expect(throws: DeviceError.unsuitable(path: "/dev/null")) {
            try FileDevice(path: "/dev/null", access: .readWrite)
        }
    }

    @Test func `a closed device fails`() throws {
        let path = temporaryPath()
        defer { unlink(path) }
        let device = try FileDevice.create(path: path, byteCount: 1000)
        device.close()
        device.close()
        #expect(throws: DeviceError.writeFailed(offset: 0, byteCount: 1, errno: EBADF)) {
            try [UInt8(1)].withUnsafeBytes { try device.write(at: 0, from: $0) }
        }
    }
}

@Suite struct MemoryImageTests {
    @Test func `it behaves like an array of bytes`() {
        let seed = storeTestSeed()
        var chance = SeededGenerator(seed: seed)
        var model = [UInt8](repeating: 0, count: 70_000)
        var image = MemoryImage(byteCount: 70_000)
        for _ in 0..<200 {
            let start = Int.random(in: 0..<model.count, using: &chance)
            let count = Int.random(in: 0...min(40_000, model.count - start), using: &chance)
            let value = UInt8.random(in: 0...3, using: &chance)
            let bytes = [UInt8](repeating: value, count: count)
            let before = image
            bytes.withUnsafeBytes { image.write($0, at: UInt64(start)) }
            let old = model
            model.replaceSubrange(start..<start + count, with: bytes)
            let first = zip(old, model).enumerated().first { $0.element.0 != $0.element.1 }?.offset
            #expect(before.firstDifference(from: image) == first.map { UInt64($0) }, "seed \(seed)")
        }
        #expect(image.bytes(at: 0, count: model.count) == model, "seed \(seed)")
        #expect(image == MemoryImage(model))
        image.resize(to: 30_000)
        image.resize(to: 70_000)
        let cut = Array(model[..<30_000]) + [UInt8](repeating: 0, count: 40_000)
        #expect(image == MemoryImage(cut))
    }
}

@Suite struct RecordingDeviceTests {
    private func write(_ device: RecordingDevice, _ value: UInt8, at offset: UInt64) throws {
        try [UInt8](repeating: value, count: 1024).withUnsafeBytes {
            try device.write(at: offset, from: $0)
        }
    }

    @Test func `it knows what a crash may leave`() throws {
        let device = try RecordingDevice(image: MemoryImage(byteCount: 4096))
        try write(device, 1, at: 0)
        try device.flush()
        try write(device, 2, at: 0)
        try write(device, 3, at: 2048)
        #expect(
            device.imageAtLastFlush().bytes(at: 0, count: 4096).filter { $0 == 1 }.count == 1024)
        #expect(device.image(after: 3).bytes(at: 0, count: 1024).allSatisfy { $0 == 2 })
        #expect(device.image(after: 1) == device.imageAtLastFlush())
        var seen: Set<[UInt8]> = []
        for seed in 0..<200 {
            let bytes = device.crashImage(after: 4, seed: UInt64(seed)).bytes(at: 0, count: 4096)
            let sectors = stride(from: 0, to: 4096, by: 512).map { bytes[$0] }
            for (index, value) in sectors.enumerated() {
                #expect(bytes[index * 512..<index * 512 + 512].allSatisfy { $0 == value })
            }
            #expect(sectors[0..<2].allSatisfy { $0 == 1 || $0 == 2 })
            #expect(sectors[4..<6].allSatisfy { $0 == 0 || $0 == 3 })
            seen.insert(sectors)
            let again = device.crashImage(after: 4, seed: UInt64(seed))
            #expect(again.bytes(at: 0, count: 4096) == bytes)
        }
        #expect(seen.count >= 12)
    }

    @Test func `it fails when told to`() throws {
        let device = try RecordingDevice(image: MemoryImage(byteCount: 4096))
        device.failWrites(after: 1, errno: ENOSPC)
        try write(device, 1, at: 0)
        #expect(throws: DeviceError.writeFailed(offset: 0, byteCount: 1024, errno: ENOSPC)) {
            try write(device, 2, at: 0)
        }
        device.repair()
        device.failFlushes(after: 0)
        #expect(throws: DeviceError.flushFailed(errno: EIO)) { try device.flush() }
        device.repair()
        device.cutPower(after: 1)
        try write(device, 2, at: 0)
        #expect(throws: DeviceError.self) { try write(device, 2, at: 0) }
        #expect(throws: DeviceError.self) { try device.flush() }
        var byte: [UInt8] = [0]
        #expect(throws: DeviceError.self) {
            try byte.withUnsafeMutableBytes { try device.read(at: 0, into: $0) }
        }
        device.repair()
        device.failTransfers(in: 512..<1024)
        try byte.withUnsafeMutableBytes { try device.read(at: 511, into: $0) }
        #expect(throws: DeviceError.self) {
            try byte.withUnsafeMutableBytes { try device.read(at: 512, into: $0) }
        }
        #expect(device.events.count == 2)
    }
}
