/// Which of the two upstream trees a volume agrees with in its counts and links.
///
/// Source: FORMAT 11.
public enum Dialect: String, Hashable, Sendable, CaseIterable {
    /// 9front's gefs as of Nov 2025 to May 2026; what new volumes are made as.
    case r = "R"
    /// The newer tree.
    case n = "N"
}
