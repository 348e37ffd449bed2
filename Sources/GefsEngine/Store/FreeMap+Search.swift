extension FreeMap {
    /// The lowest free block at or after `start`.
    func firstFree(from start: Int) -> Int? {
        guard start < blockCount else { return nil }
        var chunk = start / Self.chunkBlocks
        var bit = start % Self.chunkBlocks
        while chunk < chunkCount {
            if freeCounts[chunk] != 0 {
                guard let words = chunks[chunk] else { return chunk * Self.chunkBlocks + bit }
                var word = bit / 64
                var bits = words[word] & (.max << UInt64(bit % 64))
                while true {
                    if bits != 0 {
                        return chunk * Self.chunkBlocks + word * 64 + bits.trailingZeroBitCount
                    }
                    word += 1
                    if word == Self.chunkWords { break }
                    bits = words[word]
                }
            }
            chunk += 1
            bit = 0
        }
        return nil
    }

    /// The highest free block at or before `end`.
    func lastFree(upTo end: Int) -> Int? {
        guard end >= 0, blockCount > 0 else { return nil }
        let start = min(end, blockCount - 1)
        var chunk = start / Self.chunkBlocks
        var bit = start % Self.chunkBlocks
        while chunk >= 0 {
            if freeCounts[chunk] != 0 {
                guard let words = chunks[chunk] else { return chunk * Self.chunkBlocks + bit }
                var word = bit / 64
                var bits = words[word] & (.max >> UInt64(63 - bit % 64))
                while true {
                    if bits != 0 {
                        return chunk * Self.chunkBlocks + word * 64 + 63 - bits.leadingZeroBitCount
                    }
                    if word == 0 { break }
                    word -= 1
                    bits = words[word]
                }
            }
            chunk -= 1
            bit = Self.chunkBlocks - 1
        }
        return nil
    }

    /// How many blocks from `start` on are free without a gap, counted up to `limit`.
    func freeLength(at start: Int, limit: Int) -> Int {
        var index = start
        let end = min(blockCount, limit > blockCount - start ? blockCount : start + limit)
        while index < end {
            let chunk = index / Self.chunkBlocks
            let bit = index % Self.chunkBlocks
            if freeCounts[chunk] == 0 { break }
            guard let words = chunks[chunk] else {
                index = (chunk + 1) * Self.chunkBlocks
                continue
            }
            let used = ~words[bit / 64] >> UInt64(bit % 64)
            if used != 0, used.trailingZeroBitCount < 64 - bit % 64 {
                index += used.trailingZeroBitCount
                break
            }
            index += 64 - bit % 64
        }
        return min(index, end) - start
    }

    /// A free run of `count` blocks at or after `start`, or the longest of the first
    /// `candidatesMax` runs met there.
    func findRun(from start: Int, upTo count: Int, candidatesMax: Int = 32) -> Range<Int>? {
        var best: Range<Int>?
        var position = start
        for _ in 0..<candidatesMax {
            guard let first = firstFree(from: position) else { break }
            let length = freeLength(at: first, limit: count)
            if length > best?.count ?? 0 { best = first..<first + length }
            if length >= count { break }
            position = first + length + 1
        }
        return best
    }

    /// Calls `body` with every maximal free range, in address order, until it returns false.
    func forEachFreeRun(_ body: (Range<Int>) -> Bool) {
        var position = 0
        while let first = firstFree(from: position) {
            let length = freeLength(at: first, limit: .max)
            guard body(first..<first + length) else { return }
            position = first + length
        }
    }

    /// Number of maximal free ranges.
    func freeRunCount() -> Int {
        var count = 0
        var isPreviousFree: UInt64 = 0
        for chunk in 0..<chunkCount {
            if chunks[chunk] == nil {
                let isFree: UInt64 = freeCounts[chunk] == 0 ? 0 : 1
                if isFree != 0, isPreviousFree == 0 { count += 1 }
                isPreviousFree = isFree
                continue
            }
            for word in 0..<Self.chunkWords {
                let bits = bits(chunk, word)
                count += (bits & ~(bits << 1 | isPreviousFree)).nonzeroBitCount
                isPreviousFree = bits >> 63
            }
        }
        return count
    }

    /// Compares the counts with the bits. For tests and debug builds.
    func checkInvariants() {
        var sum = 0
        for chunk in 0..<chunkCount {
            let count = Int(freeCounts[chunk])
            sum += count
            let length = length(of: chunk)
            guard let words = chunks[chunk] else {
                assert(count == 0 || count == length)
                continue
            }
            assert(count > 0 && count < length)
            var found = 0
            for word in 0..<Self.chunkWords { found += words[word].nonzeroBitCount }
            assert(found == count)
            if length < Self.chunkBlocks {
                var past = 0
                Self.forEachWord(length..<Self.chunkBlocks) {
                    past += (words[$0] & $1).nonzeroBitCount
                }
                assert(past == 0)
            }
        }
        assert(sum == freeCount)
    }
}
