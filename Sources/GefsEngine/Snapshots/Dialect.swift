/// Which of the two upstream trees a disk belongs to; it is kept that way. Source: FORMAT 11.
public enum Dialect: String, Sendable {
    /// 9front's gefs as of November 2025 to May 2026: references count successors and forks.
    case r = "R"
    /// The newer tree: references count forks alone.
    case n = "N"
}
