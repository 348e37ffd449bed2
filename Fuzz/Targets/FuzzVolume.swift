import Synchronization

@testable import GefsEngine

/// A volume in memory that each input finds as it was made.
///
/// It stays open for as long as nothing is changed, which is most of the time, and in a batch until
/// that ends.
final class FuzzVolume: @unchecked Sendable {
    private let image: MemoryImage
    private var current: (device: CountingDevice, fileSystem: FileSystem)?

    init(_ image: MemoryImage) {
        self.image = image
    }

    /// The file system, as if nobody had used it before.
    func open() throws -> FileSystem {
        if let current { return current.fileSystem }
        let device = CountingDevice(MemoryDevice(image))
        var options = BaseImages.options
        options.isPermissive = true
        let fileSystem = try FileSystem.open(device, options: options)
        // The first use of a volume may write by itself.
        try fileSystem.sync(as: BaseImages.caller)
        device.writeCount.store(0, ordering: .relaxed)
        current = (device, fileSystem)
        return fileSystem
    }

    /// To be called when an input is done with.
    ///
    /// - Throws: `FuzzFinding` where somebody still uses a branch, or the volume has failed or, if
    ///   asked for, is damaged.
    func finish(checks: Bool) throws {
        guard let (_, fileSystem) = current else { return }
        let volume = fileSystem.volume
        fileSystem.isReserveOpen = false
        try promise(fileSystem.failure == nil, "the volume failed")
        fileSystem.drainReclaims()
        let users = volume.lock.locked { Array(volume.branches.values) }.filter { branch in
            branch.lock.locked { branch.userCount > 0 }
        }
        try promise(users.isEmpty, "a branch is still used")
        if InputBatch.isOpen.load(ordering: .relaxed) { return }
        try close(checks: checks)
    }

    /// Closes the volume if it was changed; the next input finds it as it was made.
    func close(checks: Bool) throws {
        guard let (device, fileSystem) = current else { return }
        let volume = fileSystem.volume
        if !volume.isDirty, device.writeCount.load(ordering: .relaxed) == 0 { return }
        current = nil
        do {
            try fileSystem.close()
        } catch {
            throw FuzzFinding("the volume cannot be closed: \(error)")
        }
        guard checks else { return }
        let report = Checker.check(device)
        try promise(!report.isBroken, "the volume was broken: \(report.findings.prefix(3))")
    }
}

/// A device that counts what is written to it.
final class CountingDevice: BlockDevice {
    private let below: MemoryDevice
    let writeCount = Atomic(0)

    init(_ below: MemoryDevice) {
        self.below = below
    }

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { below.isReadOnly }
    var name: String { below.name }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        try below.read(at: offset, into: buffers)
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        writeCount.add(1, ordering: .relaxed)
        try below.write(at: offset, from: buffers)
    }

    func flush() throws(DeviceError) { try below.flush() }

    func close() { below.close() }
}
