import GefsFormat

/// The labelled states that a branch went through, its present one first.
///
/// A line goes from each snapshot to its predecessor, and at the beginning of a fork through its
/// base into the line it was forked from. The snapshot `empty`, from which all descend, is no
/// part of it. Links may name snapshots that are gone (FORMAT 7.3): there the line ends.
struct BranchLine {
    /// A snapshot of the line that has labels.
    struct Stop {
        var generation: Generation
        /// Immutable labels in label order. Labels that follow writes are no snapshots.
        var snapshots: [LabelInfo]
    }

    /// Newest first. The first one is the state that the label itself names; it may have no
    /// snapshots.
    private(set) var stops: [Stop] = []

    /// - Parameters:
    ///   - start: what the branch's label names.
    ///   - labels: all labels of the volume.
    ///   - record: the snapshot of a generation, nil where there is none.
    init(
        from start: Generation, labels: [LabelInfo], record: (Generation) -> SnapshotRecord?
    ) {
        var named: [Generation: [LabelInfo]] = [:]
        for label in labels where !label.isMutable {
            named[Generation(rawValue: label.generation), default: []].append(label)
        }
        stops = [Stop(generation: start, snapshots: named[start] ?? [])]
        var present = record(start)
        while let from = present {
            present = nil
            // Both get smaller on the way, so that no damage makes it endless.
            for link in [from.predecessor, from.base]
            where !link.isNone && link != .zero && link < from.generation {
                guard let next = record(link) else { continue }
                if let snapshots = named[link] {
                    stops.append(Stop(generation: link, snapshots: snapshots))
                }
                present = next
                break
            }
        }
    }

    /// The snapshots of all stops, newest state first.
    var snapshots: [LabelInfo] { stops.flatMap(\.snapshots) }

    /// The states that have snapshots, newest first.
    var labelled: [Stop] { stops.filter { !$0.snapshots.isEmpty } }

    /// The snapshot with the latest time that is not after `time`; of several the newer state.
    ///
    /// Times decide, not the order of states, so that a snapshot made while the clock was wrong
    /// does not hide the others.
    /// - Parameter others: snapshots that the branch has left behind by going back.
    func snapshot(at time: Int64, or others: [LabelInfo]) -> LabelInfo? {
        var best: (label: LabelInfo, time: Int64)?
        for label in snapshots + others {
            guard let made = label.time, made <= time else { continue }
            if let best, best.time >= made { continue }
            best = (label, made)
        }
        return best?.label
    }

    /// The snapshot that was made first, as far as times are known, else of the oldest state.
    var oldest: LabelInfo? {
        let timed = snapshots.compactMap { label in label.time.map { (label: label, time: $0) } }
        return timed.reversed().min { $0.time < $1.time }?.label ?? snapshots.last
    }
}

extension BranchLine.Stop {
    /// The label to speak of: one that somebody chose, before those of a schedule, whose days are
    /// kept longest and come first.
    var name: [UInt8]? {
        snapshots.first { SnapshotTime(name: $0.name) == nil }?.name ?? snapshots.first?.name
    }
}
