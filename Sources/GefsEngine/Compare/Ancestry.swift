import GefsFormat

extension HistoryGraph {
    /// A record, what it came from, what that came from, and so on: newest first.
    ///
    /// Goes over from a line to the one that it was forked from. Generations only get smaller on
    /// the way, whatever a damaged disk says.
    func ancestry(of generation: Generation) -> [Generation] {
        var all: [Generation] = []
        var next = records[generation]
        while let record = next {
            all.append(record.generation)
            let before = heldBefore(record)
            next = before < record.generation ? records[before] : nil
        }
        return all
    }
}
