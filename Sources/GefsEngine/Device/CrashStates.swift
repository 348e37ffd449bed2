/// The states that a crash during one interval of a recording may leave, as a list that is never
/// made: each is computed from its number.
///
/// For an interval of n writes, in this order:
/// 1. the prefixes, each write alone, all but each write; and with n up to `subsetWritesMax` all
///    other subsets;
/// 2. each write torn, at sectors of 512 bytes and pages of 4 KiB (begun, ended, any of them), where
///    of the others there are none, those before it, all, or any;
/// 3. mixtures by chance: each write whole, lost or torn, in any order.
///
/// Equal numbers and seeds give equal states.
public struct CrashStates: RandomAccessCollection, Sendable {
    /// Most writes of which all subsets are listed.
    public static let subsetWritesMax = 12
    /// Bytes that a disk writes wholly or not at all, by what it promises.
    public static let tornUnits = [512, 4096]
    /// Prefixes and suffixes of one write that are listed for one unit; longer writes are cut in
    /// that many places by chance.
    private static let cutsMax = 40
    /// Torn in any of its units, so often each.
    private static let scatteredCount = 4
    /// Mixtures for each write.
    private static let mixturesPerWrite = 16

    private let events: [RecordingDevice.Event]
    private let interval: Recording.Interval
    private let seed: UInt64
    private let writes: [Int]
    /// Numbers below are untorn; the first of each write's torn states; all of them.
    private let wholeCount: Int
    /// The subsets that come behind the prefixes, and all that come first in ascending order.
    private let nearby: [[Int]]
    private let essential: [Int]
    private let tornStarts: [Int]
    private let tornEnd: Int

    public let startIndex = 0
    public let endIndex: Int

    /// The states of an interval of a recording.
    public init(_ recording: Recording, _ interval: Recording.Interval, seed: UInt64) {
        events = recording.events
        self.interval = interval
        self.seed = seed
        writes = interval.writes.filter { recording.events[$0] != .flush }
        let count = writes.count
        (nearby, essential) = Self.nearbySubsets(count)
        wholeCount =
            count <= Self.subsetWritesMax ? 1 << count : count + 1 + nearby.count
        var next = wholeCount
        var starts: [Int] = []
        for write in writes {
            starts.append(next)
            next += Self.tearCount(recording.events[write].byteCount) * Context.allCases.count
        }
        tornStarts = starts
        tornEnd = next
        endIndex = next + count * Self.mixturesPerWrite
    }

    /// How many of the first states are the ones that no sample should leave out: nothing, and each
    /// prefix of the writes, all of them at last.
    public var prefixCount: Int { writes.count + 1 }

    /// How many of the first states are prefixes, or are one write away from nothing or all.
    public var essentialCount: Int { prefixCount + nearby.count }

    public subscript(index: Int) -> CrashState {
        if index < wholeCount { return CrashState(interval, wholeState(index)) }
        var chance = SeededGenerator(
            seed: seed ^ UInt64(interval.start) << 32 ^ UInt64(bitPattern: Int64(index)))
        if index < tornEnd { return CrashState(interval, tornState(index, &chance)) }
        return CrashState(interval, mixture(&chance))
    }

    /// The mixtures; all states where there is nothing to mix.
    public var mixtures: Range<Int> {
        tornEnd < endIndex ? tornEnd..<endIndex : startIndex..<endIndex
    }

    /// One of the mixtures: which one, the seed says.
    var anyMixture: CrashState {
        tornEnd < endIndex ? self[tornEnd] : self[startIndex]
    }

    // MARK: Whole writes

    private func wholeState(_ index: Int) -> [CrashState.Piece] {
        let count = writes.count
        if index <= count { return pieces(of: writes[..<index]) }
        let place = index - count - 1
        if place < nearby.count { return pieces(of: nearby[place].map { writes[$0] }) }
        let mask = subset(place - nearby.count)
        return pieces(of: writes.indices.filter { mask >> $0 & 1 == 1 }.map { writes[$0] })
    }

    /// Each write alone and all but each, as far as these are no prefixes; and their masks with
    /// those of the prefixes, if there are not too many writes for masks.
    private static func nearbySubsets(_ count: Int) -> ([[Int]], [Int]) {
        guard count > 1 else { return ([], (0...count).map { (1 << $0) - 1 }) }
        let all = Array(0..<count)
        var nearby = (1..<count).map { [$0] }
        if count > 2 {
            nearby += (0..<count - 1).map { left in all.filter { $0 != left } }
        }
        guard count <= subsetWritesMax else { return (nearby, []) }
        let masks = nearby.map { $0.reduce(0) { $0 | 1 << $1 } }
        return (nearby, (masks + (0...count).map { (1 << $0) - 1 }).sorted())
    }

    /// The subset of that number among those that do not come first.
    private func subset(_ number: Int) -> Int {
        var mask = number
        var passed = 0
        while passed < essential.count, essential[passed] <= mask {
            passed += 1
            mask = number + passed
        }
        return mask
    }

    private func pieces(of writes: some Sequence<Int>) -> [CrashState.Piece] {
        writes.map { CrashState.Piece(event: $0) }
    }

    // MARK: Torn writes

    /// What else is there when a write is torn.
    private enum Context: Int, CaseIterable {
        case nothing, earlier, all, some
    }

    private static func unitCount(_ byteCount: Int, _ unit: Int) -> Int {
        (byteCount + unit - 1) / unit
    }

    private static func tearCount(_ byteCount: Int) -> Int {
        tornUnits.reduce(0) { total, unit in
            let units = unitCount(byteCount, unit)
            guard units > 1 else { return total }
            return total + 2 * Swift.min(units - 1, cutsMax) + (units > 2 ? scatteredCount : 0)
        }
    }

    private func tornState(
        _ index: Int, _ chance: inout SeededGenerator
    ) -> [CrashState.Piece] {
        let place = (tornStarts.lastIndex { $0 <= index }) ?? 0
        let number = index - tornStarts[place]
        let contexts = Context.allCases.count
        let torn = CrashState.Piece(
            event: writes[place],
            kept: Self.tear(events[writes[place]].byteCount, number / contexts, &chance))
        switch Context.allCases[number % contexts] {
        case .nothing: return [torn]
        case .earlier: return pieces(of: writes[..<place]) + [torn]
        case .all:
            return pieces(of: writes[..<place]) + [torn] + pieces(of: writes[(place + 1)...])
        case .some:
            var mixed: [CrashState.Piece] = []
            for other in writes.indices {
                if other == place {
                    mixed.append(torn)
                } else if Bool.random(using: &chance) {
                    mixed.append(CrashState.Piece(event: writes[other]))
                }
            }
            return mixed
        }
    }

    /// The tear of that number: what is kept of so many bytes.
    private static func tear(
        _ byteCount: Int, _ number: Int, _ chance: inout SeededGenerator
    ) -> [Range<Int>] {
        var rest = number
        for unit in tornUnits {
            let units = unitCount(byteCount, unit)
            guard units > 1 else { continue }
            let cuts = Swift.min(units - 1, cutsMax)
            if rest < 2 * cuts {
                let place = rest / 2 + 1
                let cut =
                    unit * (cuts == units - 1 ? place : Int.random(in: 1..<units, using: &chance))
                return rest % 2 == 0 ? [0..<cut] : [cut..<byteCount]
            }
            rest -= 2 * cuts
            guard units > 2 else { continue }
            if rest < scatteredCount { return scattered(byteCount, unit, &chance) }
            rest -= scatteredCount
        }
        return []
    }

    /// Any of the units, by chance.
    private static func scattered(
        _ byteCount: Int, _ unit: Int, _ chance: inout SeededGenerator
    ) -> [Range<Int>] {
        var kept: [Range<Int>] = []
        for start in stride(from: 0, to: byteCount, by: unit) where Bool.random(using: &chance) {
            let end = Swift.min(start + unit, byteCount)
            if let last = kept.last, last.upperBound == start {
                kept[kept.count - 1] = last.lowerBound..<end
            } else {
                kept.append(start..<end)
            }
        }
        return kept
    }

    // MARK: Mixtures

    private func mixture(_ chance: inout SeededGenerator) -> [CrashState.Piece] {
        var pieces: [CrashState.Piece] = []
        // Now and then no write at all is whole or lost.
        let manners = Int.random(in: 0..<4, using: &chance) == 0 ? 5..<8 : 0..<8
        for write in writes {
            let byteCount = events[write].byteCount
            switch Int.random(in: manners, using: &chance) {
            case 0..<3: pieces.append(CrashState.Piece(event: write))
            case 3..<5: break
            case 5:
                let tears = Self.tearCount(byteCount)
                guard tears > 0 else { break }
                let number = Int.random(in: 0..<tears, using: &chance)
                pieces.append(
                    CrashState.Piece(event: write, kept: Self.tear(byteCount, number, &chance)))
            default:
                let unit = Self.tornUnits.randomElement(using: &chance) ?? 512
                pieces.append(
                    CrashState.Piece(
                        event: write, kept: Self.scattered(byteCount, unit, &chance)))
            }
        }
        // Where writes overlap the disk may have done the later one first.
        return Bool.random(using: &chance) ? pieces.shuffled(using: &chance) : pieces
    }
}

extension RecordingDevice.Event {
    /// Bytes of a write; 0 for a flush.
    public var byteCount: Int {
        if case .write(_, let bytes) = self { bytes.count } else { 0 }
    }
}
