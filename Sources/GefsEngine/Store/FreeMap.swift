#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Which blocks of an arena are free, one bit a block, and what changed since the last commit.
///
/// Blocks are named by their index in the arena. Deliberately a bitmap instead of two balanced
/// trees of ranges (by address and by size):
/// - memory is bounded by one bit a block however fragmented the map is, and a chunk that is
///   wholly free or wholly used takes none;
/// - marking a block is O(1), and so is finding out that a mark contradicts the map;
/// - the log entries of a commit are the set difference of two maps, so a block that was taken
///   and given back between two commits costs nothing, and ranges coalesce by themselves.
///
/// The map as of the last commit is kept as copies of the chunks touched since.
///
/// Invariants:
/// - `freeCount` and the chunk counts are exact; a chunk has words exactly if it is mixed.
/// - Bits past the last block are 0.
///
/// Not synchronised: only the flush thread uses it.
struct FreeMap: ~Copyable {
    typealias Words = UnsafeMutablePointer<UInt64>

    /// Blocks per chunk; the last chunk may have fewer.
    static let chunkBlocks = 32768
    static let chunkWords = chunkBlocks / 64

    struct SavedChunk {
        var words: Words?
        var freeCount: Int
    }

    /// Number of blocks.
    let blockCount: Int
    let chunkCount: Int
    /// Number of free blocks.
    private(set) var freeCount = 0
    /// Words of a chunk, a set bit is a free block; nil if the chunk is wholly free or used.
    let chunks: UnsafeMutablePointer<Words?>
    let freeCounts: UnsafeMutablePointer<Int32>
    private let isSaved: UnsafeMutablePointer<Bool>
    private var saved: [Int: SavedChunk] = [:]
    /// Whether changes are remembered; off while a log is replayed.
    private var isTracking = false

    /// Whether changes are remembered since a first `settle()`.
    var isTrackingChanges: Bool { isTracking }

    /// A map in which every block is used.
    init(blockCount: Int) {
        self.blockCount = blockCount
        chunkCount = (blockCount + Self.chunkBlocks - 1) / Self.chunkBlocks
        chunks = .allocate(capacity: max(1, chunkCount))
        freeCounts = .allocate(capacity: max(1, chunkCount))
        isSaved = .allocate(capacity: max(1, chunkCount))
        chunks.initialize(repeating: nil, count: chunkCount)
        freeCounts.initialize(repeating: 0, count: chunkCount)
        isSaved.initialize(repeating: false, count: chunkCount)
    }

    deinit {
        for chunk in 0..<chunkCount { chunks[chunk]?.deallocate() }
        for (_, chunk) in saved { chunk.words?.deallocate() }
        chunks.deallocate()
        freeCounts.deallocate()
        isSaved.deallocate()
    }

    @inline(__always)
    func length(of chunk: Int) -> Int {
        min(Self.chunkBlocks, blockCount - chunk * Self.chunkBlocks)
    }

    /// Whether the block is free. The index must be in range.
    func isFree(_ index: Int) -> Bool {
        let chunk = index / Self.chunkBlocks
        guard let words = chunks[chunk] else { return freeCounts[chunk] != 0 }
        let bit = index % Self.chunkBlocks
        return words[bit / 64] >> UInt64(bit % 64) & 1 != 0
    }

    // MARK: Changes

    /// Marks used blocks as free. Returns false, with nothing changed, if one of them is free.
    mutating func release(_ range: Range<Int>) -> Bool {
        mark(range, free: true)
    }

    /// Marks free blocks as used. Returns false, with nothing changed, if one of them is used.
    mutating func take(_ range: Range<Int>) -> Bool {
        mark(range, free: false)
    }

    private mutating func mark(_ range: Range<Int>, free: Bool) -> Bool {
        guard !range.isEmpty else { return true }
        let first = range.lowerBound / Self.chunkBlocks
        let last = (range.upperBound - 1) / Self.chunkBlocks
        if first == last {
            let start = range.lowerBound - first * Self.chunkBlocks
            let part = start..<start + range.count
            guard isUniform(first, part, free: !free) else { return false }
            set(first, part, free: free)
            return true
        }
        for chunk in first...last
        where !isUniform(chunk, part(of: range, in: chunk), free: !free) {
            return false
        }
        for chunk in first...last { set(chunk, part(of: range, in: chunk), free: free) }
        return true
    }

    private func part(of range: Range<Int>, in chunk: Int) -> Range<Int> {
        let start = chunk * Self.chunkBlocks
        return max(range.lowerBound, start) - start..<min(
            range.upperBound, start + Self.chunkBlocks) - start
    }

    private func isUniform(_ chunk: Int, _ part: Range<Int>, free: Bool) -> Bool {
        guard let words = chunks[chunk] else { return (freeCounts[chunk] != 0) == free }
        var isUniform = true
        Self.forEachWord(part) { index, mask in
            let bits = words[index] & mask
            if bits != (free ? mask : 0) { isUniform = false }
        }
        return isUniform
    }

    private mutating func set(
        _ chunk: Int, _ part: Range<Int>, free: Bool, isSaving: Bool = true
    ) {
        if isTracking, isSaving, !isSaved[chunk] { save(chunk) }
        let count = part.count
        let newCount = Int(freeCounts[chunk]) + (free ? count : -count)
        freeCount += free ? count : -count
        if newCount == 0 || newCount == length(of: chunk) {
            chunks[chunk]?.deallocate()
            chunks[chunk] = nil
        } else {
            let words = chunks[chunk] ?? materialise(chunk)
            if free {
                Self.forEachWord(part) { words[$0] |= $1 }
            } else {
                Self.forEachWord(part) { words[$0] &= ~$1 }
            }
        }
        freeCounts[chunk] = Int32(newCount)
    }

    private func materialise(_ chunk: Int) -> Words {
        let words = Words.allocate(capacity: Self.chunkWords)
        words.initialize(repeating: 0, count: Self.chunkWords)
        if freeCounts[chunk] != 0 {
            Self.forEachWord(0..<length(of: chunk)) { words[$0] = $1 }
        }
        chunks[chunk] = words
        return words
    }

    @inline(__always)
    static func forEachWord(_ part: Range<Int>, _ body: (_ word: Int, _ mask: UInt64) -> Void) {
        var word = part.lowerBound / 64
        let last = (part.upperBound - 1) / 64
        var mask = UInt64.max << UInt64(part.lowerBound % 64)
        while word < last {
            body(word, mask)
            mask = .max
            word += 1
        }
        body(last, mask & (.max >> UInt64(63 - (part.upperBound - 1) % 64)))
    }
}

// MARK: - Difference from the last commit

extension FreeMap {
    /// Makes the present state the one that `forEachChange` compares with.
    mutating func settle() {
        for (chunk, old) in saved {
            old.words?.deallocate()
            isSaved[chunk] = false
        }
        saved.removeAll(keepingCapacity: true)
        isTracking = true
    }

    /// Whether chunks were touched since the last `settle()`; they may be equal nevertheless.
    var mayDiffer: Bool { !saved.isEmpty }

    private mutating func save(_ chunk: Int) {
        var copy: Words?
        if let words = chunks[chunk] {
            let memory = Words.allocate(capacity: Self.chunkWords)
            memory.update(from: words, count: Self.chunkWords)
            copy = memory
        }
        saved[chunk] = SavedChunk(words: copy, freeCount: Int(freeCounts[chunk]))
        isSaved[chunk] = true
    }

    /// Whether the block was free at the last `settle()`.
    func wasFree(_ index: Int) -> Bool {
        guard let old = saved[index / Self.chunkBlocks] else { return isFree(index) }
        guard let words = old.words else { return old.freeCount != 0 }
        let bit = index % Self.chunkBlocks
        return words[bit / 64] >> UInt64(bit % 64) & 1 != 0
    }

    /// The highest block at or before `end` that is free and was free at the last `settle()`.
    func lastFreeInBoth(upTo end: Int) -> Int? {
        var position = end
        while let index = lastFree(upTo: position) {
            let chunk = index / Self.chunkBlocks
            guard let old = saved[chunk] else { return index }
            var word = index % Self.chunkBlocks / 64
            var mask = UInt64.max >> UInt64(63 - index % 64)
            while true {
                let both = bits(chunk, word) & oldBits(old, chunk, word) & mask
                if both != 0 {
                    return chunk * Self.chunkBlocks + word * 64 + 63 - both.leadingZeroBitCount
                }
                if word == 0 { break }
                word -= 1
                mask = .max
            }
            position = chunk * Self.chunkBlocks - 1
        }
        return nil
    }

    /// Marks a block as used that is free now and was free at the last `settle()`, in both states,
    /// so that it does not show up as a change.
    mutating func takeInBoth(_ index: Int) {
        let chunk = index / Self.chunkBlocks
        let bit = index % Self.chunkBlocks
        assert(isFree(index) && wasFree(index))
        if !isSaved[chunk] {
            set(chunk, bit..<bit + 1, free: false, isSaving: false)
            return
        }
        set(chunk, bit..<bit + 1, free: false)
        guard var old = saved[chunk] else { return }
        if old.words == nil {
            let words = Words.allocate(capacity: Self.chunkWords)
            words.initialize(repeating: 0, count: Self.chunkWords)
            Self.forEachWord(0..<length(of: chunk)) { words[$0] = $1 }
            old.words = words
        }
        old.words?[bit / 64] &= ~(1 << UInt64(bit % 64))
        old.freeCount -= 1
        saved[chunk] = old
    }

    /// Calls `body` with each maximal range of blocks that became free or used since the last
    /// `settle()`, in address order.
    func forEachChange(_ body: (_ range: Range<Int>, _ isFree: Bool) -> Void) {
        var open: Range<Int>?
        var openIsFree = false
        for chunk in saved.keys.sorted() {
            guard let old = saved[chunk] else { continue }
            for word in 0..<(length(of: chunk) + 63) / 64 {
                let new = bits(chunk, word)
                var changed = new ^ oldBits(old, chunk, word)
                let base = chunk * Self.chunkBlocks + word * 64
                while changed != 0 {
                    let start = changed.trailingZeroBitCount
                    let isFree = new >> UInt64(start) & 1 != 0
                    // Bits that changed in the same direction, from `start` on.
                    let same = (isFree ? changed & new : changed & ~new) >> UInt64(start)
                    let count = (~same).trailingZeroBitCount
                    changed &= start + count == 64 ? 0 : .max << UInt64(start + count)
                    let range = base + start..<base + start + count
                    if let last = open, last.upperBound == range.lowerBound, openIsFree == isFree {
                        open = last.lowerBound..<range.upperBound
                    } else {
                        if let last = open { body(last, openIsFree) }
                        open = range
                        openIsFree = isFree
                    }
                }
            }
        }
        if let last = open { body(last, openIsFree) }
    }

    private func oldBits(_ old: SavedChunk, _ chunk: Int, _ word: Int) -> UInt64 {
        if let words = old.words { return words[word] }
        return old.freeCount == 0 ? 0 : validBits(chunk, word)
    }

    func bits(_ chunk: Int, _ word: Int) -> UInt64 {
        if let words = chunks[chunk] { return words[word] }
        return freeCounts[chunk] == 0 ? 0 : validBits(chunk, word)
    }

    /// The bits of a word that stand for blocks.
    private func validBits(_ chunk: Int, _ word: Int) -> UInt64 {
        let count = length(of: chunk) - word * 64
        return count >= 64 ? .max : (1 << UInt64(max(0, count))) - 1
    }
}
