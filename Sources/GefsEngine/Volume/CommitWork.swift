import GefsFormat

/// What one commit gathers while it is made. Belongs to the flush thread.
final class CommitWork {
    /// Counts commits since the volume was opened, from 1.
    let number: UInt64
    /// Blocks outside of trees: deadlists and the pending list.
    var queue = WriteQueue()
    /// Blocks of lists that are queued, by address: they are not on the device yet.
    var chainBlocks: [BlockAddress: BlockBuffer] = [:]
    /// Blocks retired so far that lie in no bag yet.
    var retired: [RetiredBlock] = []
    /// Blocks that only dropped snapshots held: whoever reads any branch may still look at them.
    var dropped: [RetiredBlock] = []

    /// Changes of labels that this commit makes true.
    var requests: [HistoryRequest] = []
    /// The state that a branch leaves by a roll-back.
    var detached: Branch?
    /// What the label of a roll-back, and the one that keeps what it leaves, are to name.
    var rollback: (label: LabelRecord, kept: LabelRecord)?
    /// Records that are to be written down or removed.
    private var touched: Set<Generation> = []
    /// Records that have lost a label, a fork or a successor.
    private var released: [Generation] = []

    init(number: UInt64) {
        self.number = number
    }

    func touch(_ generations: Generation...) {
        touched.formUnion(generations)
    }

    /// A label or a line does not need the record any more.
    func release(_ generation: Generation) {
        touched.insert(generation)
        released.append(generation)
    }

    func takeTouched() -> [Generation] {
        defer { touched = [] }
        return touched.sorted()
    }

    func takeReleased() -> [Generation] {
        defer { released = [] }
        return released
    }

    func takeRetired() -> [RetiredBlock] {
        let all = retired
        retired = []
        return all
    }
}
