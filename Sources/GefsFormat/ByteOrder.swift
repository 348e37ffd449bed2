/// Unaligned big-endian integers in raw memory: all numbers on disk have this form.
///
/// Nothing is checked here; who calls knows that the bytes are there.
extension UnsafeRawPointer {
    /// The integer stored at `offset`.
    @inlinable @inline(__always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type
    ) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension UnsafeMutableRawPointer {
    /// The integer stored at `offset`.
    @inlinable @inline(__always)
    public func loadBigEndian<T: FixedWidthInteger & BitwiseCopyable>(
        at offset: Int, as type: T.Type
    ) -> T {
        T(bigEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }

    /// Stores `value` at `offset`.
    @inlinable @inline(__always)
    public func storeBigEndian<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        storeBytes(of: value.bigEndian, toByteOffset: offset, as: T.self)
    }

    /// Copies `bytes`, which may be empty, to `offset`.
    @inlinable @inline(__always)
    public func storeBytes(of bytes: UnsafeRawBufferPointer, at offset: Int) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        (self + offset).copyMemory(from: source, byteCount: bytes.count)
    }

    /// Sets the bytes from `start` up to `end` to zero.
    @inlinable
    public func storeZeros(from start: Int, to end: Int) {
        guard start < end else { return }
        (self + start).initializeMemory(as: UInt8.self, repeating: 0, count: end - start)
    }
}
