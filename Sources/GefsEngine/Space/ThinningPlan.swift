import GefsFormat

/// Which snapshots to give up for some space, so that few have to go.
struct ThinningPlan: Sendable {
    /// What goes, by age.
    private(set) var snapshots: [Generation] = []
    /// Labels that are deleted.
    private(set) var cost = 0
    /// Blocks that become free at least.
    private(set) var blocks = 0

    private typealias Run = (stretch: Int, places: ClosedRange<Int>, blocks: Int)

    /// Looks for a cheap set that frees at least `need` blocks; nil where even all of them do not.
    ///
    /// The highest price for a label at which enough is freed gives a set than which no other of
    /// its cost frees more. It may free more than is asked for; then the newest of what is worth
    /// least stays.
    init?(_ stretches: [ThinningStretch], freeing need: Int) {
        func runs(price: Int) -> [Run] {
            stretches.enumerated().flatMap { index, stretch in
                stretch.runs(price: price).map { (index, $0, stretch.blocks(in: $0)) }
            }
        }
        func total(_ runs: [Run]) -> Int { runs.reduce(0) { $0 + $1.blocks } }

        var low = 1
        var chosen = runs(price: low)
        if total(chosen) < need {
            // Every block counts, however many labels it takes.
            chosen = stretches.enumerated().filter { !$1.costs.isEmpty }.map { index, stretch in
                let all = 0...stretch.costs.count - 1
                return (index, all, stretch.blocks(in: all))
            }
            guard total(chosen) >= need else { return nil }
        } else {
            // Nothing is worth more than all that could be needed, and a block more.
            var high = min(
                (total(chosen) + 1) * ThinningStretch.partsPerBlock, ThinningStretch.priceMax)
            while high - low > 1 {
                let middle = low + (high - low) / 2
                let cheaper = runs(price: middle)
                if total(cheaper) >= need {
                    low = middle
                    chosen = cheaper
                } else {
                    high = middle
                }
            }
        }
        trim(chosen, stretches, spare: total(chosen) - need)
    }

    /// Leaves out what is not needed, the least worthy run first, from its newest end.
    private mutating func trim(
        _ runs: [Run], _ stretches: [ThinningStretch], spare: Int
    ) {
        var spare = spare
        // By blocks for each label; the newer ones first where that is the same.
        let order = runs.sorted { left, right in
            let leftWorth = left.blocks * stretches[right.stretch].cost(of: right.places)
            let rightWorth = right.blocks * stretches[left.stretch].cost(of: left.places)
            if leftWorth != rightWorth { return leftWorth < rightWorth }
            return stretches[left.stretch].snapshots[left.places.lowerBound]
                > stretches[right.stretch].snapshots[right.places.lowerBound]
        }
        for run in order {
            let stretch = stretches[run.stretch]
            if run.blocks <= spare {
                spare -= run.blocks
                continue
            }
            var last = run.places.upperBound
            var kept = run.blocks
            while last > run.places.lowerBound {
                let loss = stretch.loss(ofLastIn: run.places.lowerBound...last)
                guard loss <= spare else { break }
                spare -= loss
                kept -= loss
                last -= 1
            }
            let places = run.places.lowerBound...last
            snapshots += stretch.snapshots[places]
            cost += stretch.cost(of: places)
            blocks += kept
        }
        snapshots.sort()
    }
}
