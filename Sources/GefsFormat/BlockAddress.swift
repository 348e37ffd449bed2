/// Where a block lies: its offset in bytes from the start of the device.
///
/// Source: FORMAT 1, "every address a multiple of B".
@frozen
public struct BlockAddress: RawRepresentable, Hashable, Comparable, Sendable {
    /// Bytes from the start of the device, or all ones for "no block".
    public var rawValue: UInt64

    /// The address `rawValue` bytes into the device; nothing is checked.
    @inlinable
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// NIL: the address that stands for "no block".
    @inlinable
    public static var none: BlockAddress { BlockAddress(rawValue: .max) }

    /// Whether this stands for "no block".
    @inlinable
    public var isNone: Bool { self == .none }

    /// Whether a block can lie here. `none` is not aligned.
    @inlinable
    public var isAligned: Bool { rawValue & UInt64(Geometry.blockBytes - 1) == 0 }

    /// By place on the device.
    @inlinable
    public static func < (left: BlockAddress, right: BlockAddress) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension BlockAddress: CustomStringConvertible {
    /// Hexadecimal, as in `0x7f4000`, or `none`.
    public var description: String {
        isNone ? "none" : hexadecimal(rawValue)
    }
}

/// `value` the way messages show addresses, hashes and masks: `0x7f4000`.
func hexadecimal(_ value: some BinaryInteger) -> String {
    "0x" + String(value, radix: 16)
}
