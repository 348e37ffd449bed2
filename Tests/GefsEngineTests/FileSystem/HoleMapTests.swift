import Testing

@testable import GefsEngine

@Suite
struct HoleMapTests {
    @Test
    func `ranges that touch become one, and come apart again`() {
        var map = HoleMap()
        map.insert(10..<20)
        map.insert(30..<40)
        map.insert(5..<5)
        #expect(map.ranges == [10..<20, 30..<40])
        map.insert(20..<30)
        #expect(map.ranges == [10..<40] && map.count == 30)
        map.remove(15..<16)
        map.remove(0..<12)
        #expect(map.ranges == [12..<15, 16..<40] && map.count == 27)
        map.cut(at: 20)
        #expect(map.ranges == [12..<15, 16..<20])
        map.remove(14..<17)
        #expect(map.ranges == [12..<14, 17..<20] && map.count == 5)
        map.insert(0..<100)
        #expect(map.ranges == [0..<100])
        map.cut(at: 0)
        #expect(map.isEmpty && map.ranges.isEmpty)
    }

    @Test
    func `any changes leave what a set of blocks would have`() {
        var generator = SeededGenerator(seed: 1)
        var (map, model) = (HoleMap(), Set<UInt64>())
        for _ in 0..<3000 {
            let start = UInt64.random(in: 0..<200, using: &generator)
            let range = start..<(start + UInt64.random(in: 0..<12, using: &generator))
            switch Int.random(in: 0..<20, using: &generator) {
            case 0..<9:
                map.insert(range)
                model.formUnion(range)
            case 9..<19:
                map.remove(range)
                model.subtract(range)
            default:
                map.cut(at: start)
                model = model.filter { $0 < start }
            }
            #expect(map.count == UInt64(model.count))
            #expect(map.contains(start) == model.contains(start))
            #expect(Set(map.ranges.joined()) == model)
            #expect(
                zip(map.ranges, map.ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
            )
        }
    }

    @Test
    func `of too many ranges only the count is kept`() {
        var map = HoleMap()
        for index in 0...UInt64(HoleMap.rangesMax) {
            #expect(!map.isCountOnly)
            map.insert((2 * index)..<(2 * index + 1))
        }
        #expect(map.isCountOnly && map.ranges.isEmpty)
        #expect(map.count == UInt64(HoleMap.rangesMax) + 1)
    }
}
