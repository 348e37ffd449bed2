import CPlatform
import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Hard links and extended attributes of this machine.
extension LocalSide {
    private static let valueBytesMax = 65536

    var keepsPosix: Bool { true }

    func identity(of place: Place) throws -> CopyIdentity? {
        guard place != Self.standardStream,
            let status = try LocalFile.status(ByteText.string(place), followsLinks: true),
            status.st_nlink > 1
        else { return nil }
        return CopyIdentity(
            device: UInt64(truncatingIfNeeded: status.st_dev), number: UInt64(status.st_ino))
    }

    func makeLink(at place: Place, to existing: Place) throws -> Bool {
        let (new, old) = (ByteText.string(place), ByteText.string(existing))
        if let there = try LocalFile.status(new, followsLinks: false) {
            guard let file = try LocalFile.status(old, followsLinks: false) else { return false }
            if there.st_ino == file.st_ino, there.st_dev == file.st_dev { return true }
            guard LocalFile.withBytes(of: new, { unlink($0) }) == 0 else {
                throw LocalDescriptor.failure(new)
            }
        }
        let result = LocalFile.withBytes(of: old) { old in
            LocalFile.withBytes(of: new) { link(old, $0) }
        }
        if result == 0 { return true }
        // Many file systems have none, or not so many.
        guard [EPERM, EMLINK, EXDEV, ENOTSUP].contains(errno) else {
            throw LocalDescriptor.failure(new)
        }
        return false
    }

    func attributes(of place: Place) throws -> [CopyAttribute] {
        guard place != Self.standardStream else { return [] }
        let path = ByteText.string(place)
        let names = Self.filled { buffer in
            LocalFile.withBytes(of: path) {
                cplatform_attribute_names($0, buffer.baseAddress, UInt64(buffer.count))
            }
        }
        var attributes: [CopyAttribute] = []
        for name in (names ?? []).split(separator: 0).map({ Array($0) })
        where CopiedAttributes.isCopied(name) {
            let value = Self.filled { buffer in
                LocalFile.withBytes(of: path) { path in
                    LocalFile.withBytes(of: ByteText.string(name)) {
                        cplatform_attribute(
                            path, $0, buffer.baseAddress, UInt64(buffer.count))
                    }
                }
            }
            if let value { attributes.append((name, value)) }
        }
        return attributes
    }

    /// What a call puts into a buffer; nil where it fails: most file systems have no attributes.
    private static func filled(_ body: (UnsafeMutableRawBufferPointer) -> Int64) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: valueBytesMax)
        let count = bytes.withUnsafeMutableBytes { body($0) }
        return count < 0 ? nil : Array(bytes[..<Int(count)])
    }

    func setAttribute(_ attribute: CopyAttribute, of place: Place) throws -> Bool {
        guard place != Self.standardStream else { return false }
        let path = ByteText.string(place)
        let descriptor = LocalFile.withBytes(of: path) { open($0, O_RDONLY | O_CLOEXEC) }
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let result = LocalFile.withBytes(of: ByteText.string(attribute.name)) { name in
            attribute.value.withUnsafeBytes {
                cplatform_set_attribute(descriptor, name, $0.baseAddress, UInt64($0.count))
            }
        }
        return result == 0
    }
}
