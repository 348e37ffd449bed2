/// Puts little endian fields into a buffer, in order.
///
/// Never writes past the end: what does not fit is left out, and `overflowed` says so.
public struct WireWriter {
    @usableFromInline let buffer: UnsafeMutableRawBufferPointer
    /// Bytes written so far.
    public private(set) var byteCount = 0
    /// Whether something did not fit; the buffer's contents are then of no use.
    public private(set) var overflowed = false

    public init(_ buffer: UnsafeMutableRawBufferPointer) {
        self.buffer = buffer
    }

    /// Bytes that can still be written.
    public var remainingBytes: Int { buffer.count - byteCount }

    public mutating func integer<T: FixedWidthInteger>(_ value: T) {
        let size = MemoryLayout<T>.size
        guard let base = buffer.baseAddress, remainingBytes >= size else {
            overflowed = true
            return
        }
        (base + byteCount).storeBytes(of: value.littleEndian, as: T.self)
        byteCount += size
    }

    public mutating func bytes(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        guard let base = buffer.baseAddress, remainingBytes >= bytes.count else {
            overflowed = true
            return
        }
        (base + byteCount).copyMemory(from: source, byteCount: bytes.count)
        byteCount += bytes.count
    }

    /// A string: `n[2]` and its bytes.
    public mutating func string(_ text: UnsafeRawBufferPointer) {
        guard let count = UInt16(exactly: text.count) else {
            overflowed = true
            return
        }
        integer(count)
        bytes(text)
    }

    public mutating func string(_ text: [UInt8]) {
        text.withUnsafeBytes { string($0) }
    }

    public mutating func qid(_ qid: WireQid) {
        integer(qid.type)
        integer(qid.version)
        integer(qid.path)
    }

    /// Marks the message as one that cannot be encoded.
    mutating func overflow() {
        overflowed = true
    }

    /// Puts a number over bytes written before.
    mutating func patch<T: FixedWidthInteger>(_ value: T, at offset: Int) {
        guard let base = buffer.baseAddress, offset >= 0,
            offset + MemoryLayout<T>.size <= byteCount
        else { return }
        (base + offset).storeBytes(of: value.littleEndian, as: T.self)
    }
}
