import GefsFormat

/// Neighbours in a line of snapshots that may all go, and what giving some of them up is worth.
///
/// A block is free when every snapshot that holds it is gone, so single snapshots say little: ten
/// may hold a large file together. What is looked for is the set with the most blocks above its
/// price. It falls apart into runs of neighbours, and a dynamic program over the last place of a
/// run finds it in O((places + lists) log places).
struct ThinningStretch: Sendable {
    /// Parts of a block that prices are counted in.
    static let partsPerBlock = 1024
    /// Prices beyond would overflow where there are many labels; no disk has as many blocks.
    static let priceMax = 1 << 44

    /// By age.
    let snapshots: [Generation]
    /// Labels that have to be deleted for each of them.
    let costs: [Int]
    /// Blocks by the last place that holds them: the first one, and how many.
    private let ending: [[(first: Int, blocks: Int)]]

    /// The stretches of a line.
    ///
    /// - Parameter costs: what giving up a place costs; nil for places that have to stay.
    static func stretches(of line: SnapshotLine, costs: [Int?]) -> [ThinningStretch] {
        var result: [ThinningStretch] = []
        var ending = [[(first: Int, blocks: Int)]](repeating: [], count: costs.count)
        for stretch in line.stretches {
            ending[stretch.places.upperBound].append(
                (stretch.places.lowerBound, stretch.blocks))
        }
        var start = 0
        while start < costs.count {
            var end = start
            var own: [Int] = []
            while end < costs.count, let cost = costs[end] {
                own.append(cost)
                end += 1
            }
            if end > start {
                result.append(
                    ThinningStretch(
                        snapshots: Array(line.snapshots[start..<end]), costs: own,
                        ending: ending[start..<end].map { blocks in
                            // What a place outside holds is not freed, whatever goes here.
                            blocks.filter { $0.first >= start }
                                .map { (first: $0.first - start, blocks: $0.blocks) }
                        }))
            }
            start = max(end, start) + 1
        }
        return result
    }

    private init(snapshots: [Generation], costs: [Int], ending: [[(first: Int, blocks: Int)]]) {
        self.snapshots = snapshots
        self.costs = costs
        self.ending = ending
    }

    /// The runs to be given up where every label must be worth `price` parts of a block, by age.
    func runs(price: Int) -> [ClosedRange<Int>] {
        // best[i]: of the first i places.
        var best = [0]
        best.reserveCapacity(costs.count + 1)
        // Where the run begins that ends at a place, if the best choice has one there.
        var starts: [Int?] = []
        starts.reserveCapacity(costs.count)
        // For each place, the best choice whose last run begins there and goes on until now.
        var values = MaximumTree(count: costs.count)
        for place in costs.indices {
            values.set(place, best[place])
            values.add(-costs[place] * price, through: place)
            for list in ending[place] {
                values.add(list.blocks * Self.partsPerBlock, through: list.first)
            }
            let (value, start) = values.maximum
            let isWorth = value > best[place]
            best.append(isWorth ? value : best[place])
            starts.append(isWorth ? start : nil)
        }
        var runs: [ClosedRange<Int>] = []
        var place = costs.count - 1
        while place >= 0 {
            if let start = starts[place] {
                runs.append(start...place)
                place = start - 1
            } else {
                place -= 1
            }
        }
        return runs.reversed()
    }

    func cost(of run: ClosedRange<Int>) -> Int {
        costs[run].reduce(0, +)
    }

    /// Blocks that giving up a run frees.
    func blocks(in run: ClosedRange<Int>) -> Int {
        run.reduce(0) { $0 + loss(ofLastIn: run.lowerBound...$1) }
    }

    /// Blocks that are not freed where the last place of a run stays.
    func loss(ofLastIn run: ClosedRange<Int>) -> Int {
        ending[run.upperBound].reduce(0) {
            $1.first >= run.lowerBound ? $0 + $1.blocks : $0
        }
    }
}
