import Testing

@testable import GefsEngine

@Suite struct FreeMapTests {
    /// What a map is compared with.
    private struct Model {
        var free: Set<Int> = []
        var settled: Set<Int> = []
    }

    private func expectEqual(_ map: borrowing FreeMap, _ model: Model, _ context: String) {
        map.checkInvariants()
        let count = map.blockCount
        let free = (0..<count).filter { map.isFree($0) }
        let was = (0..<count).filter { map.wasFree($0) }
        let sorted = model.free.sorted()
        #expect(free == sorted, "\(context)")
        #expect(was == model.settled.sorted(), "\(context)")
        let freeCount = map.freeCount
        #expect(freeCount == model.free.count, "\(context)")
        var changes: [(Range<Int>, Bool)] = []
        map.forEachChange { changes.append(($0, $1)) }
        var patched = model.settled
        var lastEnd = -1
        var lastIsFree = false
        for (range, isFree) in changes {
            #expect(
                range.lowerBound > lastEnd || (range.lowerBound == lastEnd && isFree != lastIsFree))
            lastEnd = range.upperBound
            lastIsFree = isFree
            for index in range {
                #expect(patched.contains(index) != isFree, "\(context)")
                if isFree { patched.insert(index) } else { patched.remove(index) }
            }
        }
        #expect(patched == model.free, "\(context)")
        var runs: [Range<Int>] = []
        map.forEachFreeRun {
            runs.append($0)
            return true
        }
        #expect(runs.flatMap { Array($0) } == sorted, "\(context)")
        let runCount = map.freeRunCount()
        #expect(runCount == runs.count, "\(context)")
        for (left, right) in zip(runs, runs.dropFirst()) {
            #expect(left.upperBound < right.lowerBound)
        }
    }

    @Test func `every small size behaves like a set under random operations`() {
        let seed = storeTestSeed()
        for size in 1...140 {
            var chance = SeededGenerator(seed: seed &+ UInt64(size))
            var map = FreeMap(blockCount: size)
            var model = Model()
            for step in 0..<40 {
                operate(&map, &model, maxLength: size, &chance)
                if step % 4 == 3 { expectEqual(map, model, "seed \(seed) size \(size)") }
            }
        }
    }

    @Test(arguments: [32767, 32768, 32769, 98304, 98400])
    func `sizes around chunk boundaries behave like a set`(size: Int) {
        let seed = storeTestSeed()
        var chance = SeededGenerator(seed: seed)
        var map = FreeMap(blockCount: size)
        var model = Model()
        for step in 0..<30 {
            operate(&map, &model, maxLength: step % 3 == 0 ? size : 200, &chance)
            if step % 10 == 9 { expectEqual(map, model, "seed \(seed) size \(size)") }
        }
    }

    private func operate(
        _ map: inout FreeMap, _ model: inout Model, maxLength: Int, _ chance: inout SeededGenerator
    ) {
        let size = map.blockCount
        let start = Int.random(in: 0..<size, using: &chance)
        let length = Int.random(in: 1...max(1, min(maxLength, size - start)), using: &chance)
        let range = start..<min(size, start + length)
        switch Int.random(in: 0..<10, using: &chance) {
        case 0..<3:
            let isAllowed = range.allSatisfy { !model.free.contains($0) }
            let done = map.release(range)
            #expect(done == isAllowed)
            if isAllowed { model.free.formUnion(range) }
        case 3..<5:
            let isAllowed = range.allSatisfy { model.free.contains($0) }
            let done = map.take(range)
            #expect(done == isAllowed)
            if isAllowed { model.free.subtract(range) }
        case 5:
            for index in range where !model.free.contains(index) && index % 3 != 0 {
                let done = map.release(index..<index + 1)
                #expect(done)
                model.free.insert(index)
            }
        case 6:
            map.settle()
            model.settled = model.free
        case 7:
            let found = map.lastFreeInBoth(upTo: start)
            let expected = model.free.intersection(model.settled).filter { $0 <= start }.max()
            #expect(found == expected)
            if let found {
                map.takeInBoth(found)
                model.free.remove(found)
                model.settled.remove(found)
            }
        case 8:
            let first = map.firstFree(from: start)
            #expect(first == model.free.filter { $0 >= start }.min())
            let last = map.lastFree(upTo: start)
            #expect(last == model.free.filter { $0 <= start }.max())
        default:
            let found = map.findRun(from: start, upTo: length)
            if let found {
                #expect(found.allSatisfy { model.free.contains($0) })
                #expect(found.lowerBound >= start && found.count <= length)
                let isWhole = !model.free.contains(found.upperBound) || found.count == length
                #expect(isWhole)
            } else {
                #expect(model.free.allSatisfy { $0 < start })
            }
        }
        // Until the first settle nothing is tracked and everything counts as settled.
        if !map.isTrackingChanges { model.settled = model.free }
    }

    @Test func `a long enough run is preferred to the first one`() {
        var map = FreeMap(blockCount: 1000)
        for range in [10..<12, 20..<25, 100..<200] {
            let done = map.release(range)
            #expect(done)
        }
        let long = map.findRun(from: 0, upTo: 50)
        #expect(long == 100..<150)
        let short = map.findRun(from: 0, upTo: 2)
        #expect(short == 10..<12)
        let longest = map.findRun(from: 0, upTo: 500)
        #expect(longest == 100..<200)
        let limited = map.findRun(from: 0, upTo: 50, candidatesMax: 2)
        #expect(limited == 20..<25)
    }
}
