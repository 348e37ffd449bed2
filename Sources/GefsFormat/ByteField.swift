/// The place of one big-endian integer in a structure.
///
/// Structures list their fields in an `enum Layout`, each behind the one before, so that offsets
/// are written down once and nowhere else.
@frozen
@usableFromInline
struct ByteField<Value: FixedWidthInteger & BitwiseCopyable & Sendable>: Sendable {
    /// First byte, counted from the start of the structure.
    @usableFromInline let offset: Int

    @inlinable @inline(__always)
    init(at offset: Int) {
        self.offset = offset
    }

    @inlinable @inline(__always)
    init<Other>(after other: ByteField<Other>) {
        self.offset = other.end
    }

    /// The byte behind the field.
    @inlinable var end: Int {
        @inline(__always) get { offset + Value.bitWidth / 8 }
    }
}

extension UnsafeRawPointer {
    @inlinable
    subscript<Value>(field: ByteField<Value>) -> Value {
        @inline(__always) get { loadBigEndian(at: field.offset, as: Value.self) }
    }
}

extension UnsafeMutableRawPointer {
    @inlinable
    subscript<Value>(field: ByteField<Value>) -> Value {
        @inline(__always) get { loadBigEndian(at: field.offset, as: Value.self) }
        @inline(__always) nonmutating set { storeBigEndian(newValue, at: field.offset) }
    }
}
