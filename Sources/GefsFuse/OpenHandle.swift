import CFuse3
import GefsEngine

/// Something that a program has open, by what the kernel calls it: it is retained from
/// `makeIdentifier` until `close`.
protocol OpenHandle: AnyObject, Sendable {
    var handle: FileHandle { get }
}

extension OpenHandle {
    /// What the kernel calls it from now on.
    func makeIdentifier() -> UInt64 {
        UInt64(UInt(bitPattern: Unmanaged.passRetained(self).toOpaque()))
    }

    /// What the kernel means.
    static func of(_ information: UnsafeMutablePointer<fuse_file_info>?) -> Self? {
        reference(information)?.takeUnretainedValue()
    }

    /// Closes what the kernel means; it does not name it again.
    static func close(
        _ information: UnsafeMutablePointer<fuse_file_info>?, of fileSystem: FileSystem
    ) {
        guard let reference = reference(information) else { return }
        fileSystem.close(reference.takeUnretainedValue().handle)
        reference.release()
    }

    private static func reference(
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) -> Unmanaged<Self>? {
        guard let information,
            let pointer = UnsafeRawPointer(bitPattern: UInt(information.pointee.fh))
        else { return nil }
        return Unmanaged<Self>.fromOpaque(pointer)
    }
}
