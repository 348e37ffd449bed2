@testable import GefsEngine

extension TestVolume {
    /// What the device holds now.
    var contents: MemoryImage { device.image() }
}
