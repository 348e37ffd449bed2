import GefsFormat

/// One block of memory for a test, filled with junk so that forgotten bytes show.
final class BlockMemory {
    let bytes: UnsafeMutableRawBufferPointer

    init(byteCount: Int = Geometry.blockBytes) {
        bytes = .allocate(byteCount: byteCount, alignment: 16)
        bytes.initializeMemory(as: UInt8.self, repeating: 0xee)
    }

    deinit { bytes.deallocate() }

    var base: UnsafeMutableRawPointer { bytes.baseAddress.unsafelyUnwrapped }
    var raw: UnsafeRawBufferPointer { UnsafeRawBufferPointer(bytes) }

    func load<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        base.loadBigEndian(at: offset, as: type)
    }

    func store<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        base.storeBigEndian(value, at: offset)
    }

    func array(_ range: Range<Int>) -> [UInt8] { Array(bytes[range]) }

    func isZero(_ range: Range<Int>) -> Bool { bytes[range].allSatisfy { $0 == 0 } }
}

/// Bytes from hexadecimal text; blanks do not matter.
func hex(_ text: String) -> [UInt8] {
    let digits = text.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count - 1, by: 2).map {
        UInt8(digits[$0] << 4 | digits[$0 + 1])
    }
}

/// An address of a block.
func blockAddress(_ rawValue: UInt64) -> BlockAddress { BlockAddress(rawValue: rawValue) }

/// Where the blocks of tests are said to lie.
let testAddress = blockAddress(0x7f4000)

extension LeafBuilder {
    mutating func append(_ key: Key, _ value: [UInt8]) {
        key.withBytes { key in value.withUnsafeBytes { append(key: key, value: $0) } }
    }
}

extension PivotBuilder {
    mutating func append(_ kind: MessageKind, _ key: Key, _ payload: [UInt8] = []) {
        key.withBytes { key in
            payload.withUnsafeBytes { appendMessage(kind: kind, key: key, payload: $0) }
        }
    }

    mutating func appendChild(_ key: Key, at address: UInt64, fill: Int = 100) {
        let pointer = BlockPointer(
            address: BlockAddress(rawValue: address), hash: 7, generation: .zero)
        key.withBytes { appendChild(key: $0, pointer: pointer, fill: fill) }
    }
}
