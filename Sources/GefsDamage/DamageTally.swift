import GefsFormat

/// Figures of many samples, by what the damaged block was used for.
package struct DamageTally {
    package struct Row {
        package var samples = 0
        package var harmless = 0
        package var reported = 0
        /// Samples in which at least one operation was refused, by an error with the block's name.
        package var refusing = 0
        package var refusedOpens = 0
        package var failures = 0
    }

    package private(set) var rows: [DiskMap.Role: Row] = [:]
    package private(set) var total = Row()
    /// Files that were read and found right.
    package private(set) var filesRight = 0
    package private(set) var operationsRefused = 0

    package init() {}

    package mutating func add(_ outcome: DamageTrial.Outcome) {
        filesRight += outcome.right
        operationsRefused += outcome.refused
        Self.add(outcome, &rows[outcome.damage.role, default: Row()])
        Self.add(outcome, &total)
    }

    private static func add(_ outcome: DamageTrial.Outcome, _ row: inout Row) {
        row.samples += 1
        row.harmless += outcome.isHarmless ? 1 : 0
        row.reported += outcome.isReported ? 1 : 0
        row.refusing += outcome.refused > 0 ? 1 : 0
        row.refusedOpens += outcome.refusedOpens > 0 ? 1 : 0
        row.failures += outcome.failures.isEmpty ? 0 : 1
    }

    /// A table in Markdown.
    package var table: String {
        var lines = [
            "| damaged block | samples | unused bytes | found by check | refused operations "
                + "| refused opens | failures |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for role in DiskMap.Role.allCases {
            if let row = rows[role] { lines.append(Self.line(role.rawValue, row)) }
        }
        lines.append(Self.line("all", total))
        return lines.joined(separator: "\n")
    }

    private static func line(_ name: String, _ row: Row) -> String {
        "| \(name) | \(row.samples) | \(row.harmless) | \(row.reported) | \(row.refusing) "
            + "| \(row.refusedOpens) | \(row.failures) |"
    }
}
