import GefsFormat

/// Why a block could not be read.
public enum ReadError: Error, Hashable, Sendable {
    /// It is not in memory, and the caller must not wait for the device.
    case wouldBlock
    /// What lies there is not what the pointer promises; names block, kind and hashes.
    case corrupt(CorruptBlock)
    case device(DeviceError)
}

extension ReadError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wouldBlock: "block is not in memory"
        case .corrupt(let error): error.description
        case .device(let error): error.description
        }
    }
}
