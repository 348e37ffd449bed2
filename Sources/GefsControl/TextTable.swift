/// Columns that line up, one row a line.
public struct TextTable {
    public enum Alignment: Sendable {
        case left
        case right
    }

    private var alignments: [Alignment]
    private var rows: [[String]] = []

    /// A table with these columns; rows may leave out the last ones.
    public init(_ alignments: [Alignment]) {
        self.alignments = alignments
    }

    public var isEmpty: Bool { rows.isEmpty }

    /// Adds a row at the end.
    public mutating func append(_ row: [String]) {
        rows.append(row)
    }

    /// The rows as lines without spaces at their ends.
    public func lines() -> [String] {
        var widths = alignments.map { _ in 0 }
        for row in rows {
            for (column, cell) in row.enumerated() where column < widths.count {
                widths[column] = max(widths[column], cell.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() where column < widths.count {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                line += alignments[column] == .right ? padding + cell : cell + padding
            }
            while line.last == " " { line.removeLast() }
            return line
        }
    }
}
