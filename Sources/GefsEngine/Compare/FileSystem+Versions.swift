import GefsFormat

extension FileSystem {
    /// The versions that a file had in the states of a branch that labels name, newest first.
    ///
    /// The states are those that the branch went through: over predecessors, and for a fork on in
    /// the line that it comes from. What is under the path counts, so a file that was removed and
    /// made again is another version, and a time without one is a version without an entry. Older
    /// states than that of the first version are not told of. See `VersionSearch` for the cost.
    ///
    /// - Parameters:
    ///   - path: elements from the root.
    ///   - label: a branch; of a snapshot, the states that lead to it.
    /// - Throws: `.notFound` where the file is in none of the states; `.unknownLabel`; errors of
    ///   reading.
    public func versions(
        of path: [[UInt8]], in label: [UInt8]
    ) throws(FileError) -> FileHistory {
        let present = try pin(label)
        // No block becomes free that one of the labels holds when they are listed.
        volume.lock.locked { volume.pins += 1 }
        defer { volume.lock.locked { volume.pins -= 1 } }
        let states = try states(of: present)
        let source = CountingSource(volume.reader)
        var search = VersionSearch(
            path, states: states.map { ($0.generation, $0.root) }, source: source)
        var stretches = try search.run()
        // Before the first version there was nothing to tell of.
        if let last = stretches.last, last.entry == nil { stretches.removeLast() }
        guard !stretches.isEmpty else { throw .notFound }
        return FileHistory(
            versions: stretches.compactMap { Self.version($0, states) },
            lookupCount: search.lookupCount, blocksRead: source.readCount)
    }

    /// A state that a branch went through.
    private struct State {
        var generation: Generation
        var root: TreeRoot
        /// The one to speak of comes first.
        var labels: [LabelInfo]
    }

    /// Of a branch, what it is as of its last commit comes first.
    private func states(of present: PinnedTree) throws(FileError) -> [State] {
        let labels = try labels()
        let graph = volume.history.snapshot()
        guard let start = graph.labels[present.label]?.generation else { throw .unknownLabel }
        let line = BranchLine(from: start, labels: labels) { graph.records[$0] }
        return line.stops.compactMap { stop in
            graph.records[stop.generation].map { record in
                var names = stop.snapshots
                if let index = names.firstIndex(where: { $0.name == stop.name }) {
                    names.swapAt(0, index)
                }
                if stop.generation == start {
                    names.removeAll { $0.name == present.label }
                    names.insert(contentsOf: labels.filter { $0.name == present.label }, at: 0)
                }
                return State(
                    generation: stop.generation,
                    root: TreeRoot(pointer: record.root, height: Int(record.height)), labels: names)
            }
        }
    }

    private static func version(
        _ stretch: VersionSearch<CountingSource>.Stretch, _ states: [State]
    ) -> FileVersion? {
        let last = states[stretch.states.upperBound].labels
        guard let newest = states[stretch.states.lowerBound].labels.first,
            let oldest = last.first(where: { !$0.isMutable }) ?? last.first
        else { return nil }
        return FileVersion(
            entry: stretch.entry, newest: newest, oldest: oldest,
            labelCount: stretch.states.reduce(0) { $0 + states[$1].labels.count })
    }
}
