/// One bit for every block of a device.
///
/// A chunk whose bits are all 0 or all 1 takes no memory, so that a large and mostly empty
/// device costs little. Not synchronised.
final class BlockBits: @unchecked Sendable {
    private typealias Words = UnsafeMutablePointer<UInt64>

    private static let chunkBits = 32768
    private static let chunkWords = chunkBits / 64

    /// Number of bits.
    let count: Int
    private let chunkCount: Int
    private let chunks: UnsafeMutablePointer<Words?>
    /// Stands for a chunk of ones; never written.
    private let ones: Words

    /// All bits are 0.
    init(count: Int) {
        self.count = count
        chunkCount = (count + Self.chunkBits - 1) / Self.chunkBits
        chunks = .allocate(capacity: max(1, chunkCount))
        chunks.initialize(repeating: nil, count: chunkCount)
        ones = Self.makeWords(.max)
    }

    deinit {
        for index in 0..<chunkCount {
            if let words = chunks[index], words != ones { words.deallocate() }
        }
        chunks.deallocate()
        ones.deallocate()
    }

    private static func makeWords(_ word: UInt64) -> Words {
        let words = Words.allocate(capacity: chunkWords)
        words.initialize(repeating: word, count: chunkWords)
        return words
    }

    /// Whether the bit is 1. The index must be in range.
    @inline(__always)
    subscript(index: Int) -> Bool {
        guard let words = chunks[index / Self.chunkBits] else { return false }
        let bit = index % Self.chunkBits
        return words[bit / 64] &>> UInt64(bit % 64) & 1 != 0
    }

    /// Sets one bit to 1.
    ///
    /// - Returns: whether it was 0.
    @discardableResult
    func insert(_ index: Int) -> Bool {
        let words = writableChunk(index / Self.chunkBits)
        let bit = index % Self.chunkBits
        let mask: UInt64 = 1 << UInt64(bit % 64)
        let wasClear = words[bit / 64] & mask == 0
        words[bit / 64] |= mask
        return wasClear
    }

    /// Sets all bits of a range.
    func set(_ range: Range<Int>, to value: Bool) {
        forEachChunk(range) { chunk, bits in
            if bits.count == Self.chunkBits {
                if let words = chunks[chunk], words != ones { words.deallocate() }
                chunks[chunk] = value ? ones : nil
                return true
            }
            let words = writableChunk(chunk)
            Self.forEachWord(bits) { word, mask in
                if value { words[word] |= mask } else { words[word] &= ~mask }
                return true
            }
            return true
        }
    }

    /// Whether all bits of a range are `value`.
    func isUniform(_ range: Range<Int>, _ value: Bool) -> Bool {
        var uniform = true
        forEachChunk(range) { chunk, bits in
            guard let words = chunks[chunk] else {
                uniform = !value
                return uniform
            }
            Self.forEachWord(bits) { word, mask in
                uniform = words[word] & mask == (value ? mask : 0)
                return uniform
            }
            return uniform
        }
        return uniform
    }

    /// The end of the run of equal bits that starts at `start`, at most `end`.
    func endOfRun(from start: Int, to end: Int) -> Int {
        let value = self[start]
        var position = start
        while position < end {
            let chunk = position / Self.chunkBits
            let chunkEnd = min(end, (chunk + 1) * Self.chunkBits)
            guard let words = chunks[chunk] else {
                if value { return position }
                position = chunkEnd
                continue
            }
            if words == ones {
                if !value { return position }
                position = chunkEnd
                continue
            }
            while position < chunkEnd {
                let bit = position % 64
                let word = words[position % Self.chunkBits / 64]
                let differing = (value ? ~word : word) &>> UInt64(bit)
                if differing != 0 { return min(end, position + differing.trailingZeroBitCount) }
                position += 64 - bit
            }
            position = chunkEnd
        }
        return end
    }

    private func writableChunk(_ index: Int) -> Words {
        if let words = chunks[index], words != ones { return words }
        let words = Self.makeWords(chunks[index] == nil ? 0 : .max)
        chunks[index] = words
        return words
    }

    /// Calls `body` with each chunk that a range touches and the bits in it, until it says false.
    private func forEachChunk(_ range: Range<Int>, _ body: (Int, Range<Int>) -> Bool) {
        var position = range.lowerBound
        while position < range.upperBound {
            let chunk = position / Self.chunkBits
            let first = position % Self.chunkBits
            let end = min(Self.chunkBits, first + range.upperBound - position)
            guard body(chunk, first..<end) else { return }
            position += end - first
        }
    }

    /// Calls `body` with each word of a chunk and a mask of the bits in range.
    private static func forEachWord(_ bits: Range<Int>, _ body: (Int, UInt64) -> Bool) {
        var position = bits.lowerBound
        while position < bits.upperBound {
            let first = position % 64
            let length = min(64 - first, bits.upperBound - position)
            let ones: UInt64 = length == 64 ? .max : (1 << UInt64(length)) - 1
            let mask = ones << UInt64(first)
            guard body(position / 64, mask) else { return }
            position += length
        }
    }
}
