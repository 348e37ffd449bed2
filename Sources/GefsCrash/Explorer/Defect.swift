import GefsEngine

/// A defect that is put in on purpose, to see that the explorer finds it.
public enum Defect: String, CaseIterable, Sendable {
    /// The flush between the commit's body and the primary superblock is left out.
    case noFlushBeforeSuperblock = "no-flush-before-superblock"
    /// The flush behind the primary superblock, after which a commit is acknowledged, is left out.
    case noFlushAfterSuperblock = "no-flush-after-superblock"
    /// The flush between log blocks and the links to them, which only logs of another
    /// implementation need, is left out.
    case noFlushBeforeLinks = "no-flush-before-links"
    /// The flush of the commit's body comes one write too early.
    case flushMovedForward = "flush-moved-forward"
    /// Arena headers are durable before the logs that they name, which come with the superblock.
    case headersBeforeLogs = "headers-before-logs"
    /// A header's copy is written with the header.
    case footerWithHeader = "footer-with-header"
    /// The backup superblock is written with the primary.
    case backupWithPrimary = "backup-with-primary"
    /// A block becomes free before the commit that stops using it is durable.
    case freesTooEarly = "frees-too-early"

    /// The workloads in which it can show; none: all.
    var workloads: Set<String> {
        switch self {
        case .noFlushBeforeLinks: ["foreign-logs"]
        case .footerWithHeader: ["logs", "busy"]
        // A superblock in one sector is there or not.
        case .backupWithPrimary: ["wide"]
        default: []
        }
    }

    /// The one that is in the engine, and not in what the device does.
    var inEngine: EngineDefect? {
        self == .freesTooEarly ? .freesBeforeCommit : nil
    }
}
