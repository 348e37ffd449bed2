#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What can go wrong between the engine and its storage.
public enum DeviceError: Error, Hashable, Sendable {
    /// Another process has the device open in a way that excludes this use.
    case busy(path: String)
    case notFound(path: String)
    /// A file to be made is there already.
    case alreadyExists(path: String)
    case permissionDenied(path: String)
    /// Neither a regular file nor a block device.
    case unsuitable(path: String)
    case openFailed(path: String, errno: Int32)
    case resizeFailed(byteCount: UInt64, errno: Int32)
    case readFailed(offset: UInt64, byteCount: Int, errno: Int32)
    case writeFailed(offset: UInt64, byteCount: Int, errno: Int32)
    case flushFailed(errno: Int32)
    case pastEnd(offset: UInt64, byteCount: Int, deviceBytes: UInt64)
    /// The device was opened for reading only.
    case readOnly
}

extension DeviceError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .busy(let path): "\(path): in use by another process"
        case .notFound(let path): "\(path): no such file"
        case .alreadyExists(let path): "\(path): exists already"
        case .permissionDenied(let path): "\(path): permission denied"
        case .unsuitable(let path): "\(path): neither a regular file nor a block device"
        case .openFailed(let path, let number): "\(path): cannot open: \(text(number))"
        case .resizeFailed(let bytes, let number):
            "cannot make the device \(bytes) bytes long: \(text(number))"
        case .readFailed(let offset, let count, let number):
            "read of \(count) bytes at \(hexadecimal(offset)): \(text(number))"
        case .writeFailed(let offset, let count, let number):
            "write of \(count) bytes at \(hexadecimal(offset)): \(text(number))"
        case .flushFailed(let number): "flush: \(text(number))"
        case .pastEnd(let offset, let count, let device):
            "\(count) bytes at \(hexadecimal(offset)) reach past the end of the device, "
                + "which has \(device) bytes"
        case .readOnly: "device is read-only"
        }
    }

    private func text(_ number: Int32) -> String {
        guard let message = strerror(number) else { return "error \(number)" }
        return String(cString: message)
    }
}

/// `value` as people write addresses: `0x` and lower case digits.
func hexadecimal(_ value: UInt64) -> String {
    "0x" + String(value, radix: 16)
}
