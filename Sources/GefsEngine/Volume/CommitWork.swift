import GefsFormat

/// What one commit gathers while it is made. Belongs to the flush thread.
final class CommitWork {
    /// Counts commits since the volume was opened, from 1.
    let number: UInt64
    /// Blocks outside of trees: deadlists and the pending list.
    var queue = WriteQueue()
    /// Blocks retired so far that lie in no bag yet.
    var retired: [RetiredBlock] = []

    init(number: UInt64) {
        self.number = number
    }

    func takeRetired() -> [RetiredBlock] {
        let all = retired
        retired = []
        return all
    }
}
