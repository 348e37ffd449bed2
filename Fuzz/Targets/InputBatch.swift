import Synchronization

/// The inputs that share what they leave behind, since making a volume for each takes most of the time.
///
/// They are kept in memory that somebody may have mapped from a file: what is there after a crash is
/// replayed like an input. Form: the magic, and for each input its size, two bytes little endian, and
/// its bytes; a size of 0xffff ends it.
public struct InputBatch: ~Copyable {
    /// Whether inputs may go on with what earlier ones have left.
    public static let isOpen = Atomic(false)
    /// Inputs in a batch.
    public static let inputsMax = 64
    /// Longer ones are not kept whole: none are given.
    private static let inputBytesMax = 4096
    private static let magic = Array("gefs inputs\n".utf8)
    private static let end = 0xffff
    /// Bytes that a batch takes at most.
    public static let byteCount = magic.count + inputsMax * (2 + inputBytesMax) + 2

    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0
    private var inputCount = 0

    /// A batch in memory of `byteCount` bytes, which is never given back.
    public init(_ memory: UnsafeMutableRawBufferPointer) {
        precondition(memory.count >= Self.byteCount)
        self.memory = memory
        memory.copyBytes(from: Self.magic)
        clear()
    }

    /// Whether it is time to settle.
    public var isFull: Bool { inputCount == Self.inputsMax }

    /// Keeps an input. The batch is not full.
    public mutating func add(_ input: UnsafeRawBufferPointer) {
        let count = min(input.count, Self.inputBytesMax)
        putSize(Self.end, at: used + 2 + count)
        UnsafeMutableRawBufferPointer(rebasing: memory[(used + 2)...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: input.prefix(count)))
        putSize(count, at: used)
        used += 2 + count
        inputCount += 1
    }

    /// Forgets all inputs.
    public mutating func clear() {
        used = Self.magic.count
        inputCount = 0
        putSize(Self.end, at: used)
    }

    private func putSize(_ size: Int, at offset: Int) {
        memory[offset] = UInt8(truncatingIfNeeded: size)
        memory[offset + 1] = UInt8(truncatingIfNeeded: size >> 8)
    }

    /// The inputs of a batch that was kept; nil where the bytes are something else.
    static func inputs(in bytes: UnsafeRawBufferPointer) -> [UnsafeRawBufferPointer]? {
        guard bytes.starts(with: magic) else { return nil }
        var inputs: [UnsafeRawBufferPointer] = []
        var rest = bytes.dropFirst(magic.count)
        while let low = rest.popFirst(), let high = rest.popFirst() {
            let count = Int(low) | Int(high) << 8
            guard count != end, count <= rest.count else { break }
            inputs.append(UnsafeRawBufferPointer(rebasing: rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return inputs
    }
}
