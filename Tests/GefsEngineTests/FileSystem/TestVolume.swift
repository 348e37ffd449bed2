import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// A small volume in memory; `VolumeUser` has the words for what tests do with it.
///
/// The file system may be used by several threads; `label` and `caller` are for one at a time.
final class TestVolume: VolumeUser, @unchecked Sendable {
    static let deviceBytes: UInt64 = (128 << 20) + UInt64(Geometry.blockBytes)
    static let user = UserID(rawValue: 1)

    let device: RecordingDevice
    private(set) var fileSystem: FileSystem
    var caller = Caller(user: TestVolume.user, isPermissive: true)
    /// Whose volume this is a view of.
    private let owner: TestVolume?

    /// A freshly made volume.
    convenience init(
        options: VolumeOptions = TestVolume.options, features: FormatFeatures = []
    ) throws {
        let memory = MemoryDevice(byteCount: Self.deviceBytes)
        try Ream.run(device: memory, user: "glenda", features: features)
        try self.init(image: memory.image, options: options)
    }

    /// A volume on a given image.
    convenience init(image: MemoryImage, options: VolumeOptions = TestVolume.options) throws {
        try self.init(on: MemoryDevice(image), options: options)
    }

    /// A volume on a device that holds one.
    init(on below: any BlockDevice, options: VolumeOptions = TestVolume.options) throws {
        device = try RecordingDevice(below)
        owner = nil
        fileSystem = try FileSystem.open(device, options: options)
    }

    /// Another view of an open volume, for another thread: it has a label of its own.
    init(sharing other: TestVolume, label: String) {
        device = other.device
        fileSystem = other.fileSystem
        owner = other
        self.label = label
    }

    deinit {
        // Ends the threads of volumes that a test leaves open; of no other use.
        if owner == nil { fileSystem.volume.stop() }
    }

    /// No commits but those asked for.
    static var options: VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 32 << 20
        return options
    }

    /// The label that paths are of.
    var label = "main"

    /// Closes the volume and opens it again on the same image.
    func reopen(options: VolumeOptions = TestVolume.options) throws {
        try fileSystem.close()
        fileSystem = try FileSystem.open(device, options: options)
    }
}

extension TestVolume {
    /// Where the first block of a file lies.
    func dataAddress(_ path: String) throws -> UInt64 {
        try with(path) { handle in
            let node = try #require(handle.node)
            let pointers = try fileSystem.volume.dataPointers(
                node.qidPath, 0..<1, in: node.branch.version.root, mayBlock: true)
            return pointers[0].address.rawValue
        }
    }
}
