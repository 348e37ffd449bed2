/// One figure of a benchmark.
public struct BenchRow: Sendable {
    /// Which part of the suite it belongs to.
    public var section: String
    /// What was measured.
    public var name: String
    public var value: Double
    public var unit: String
    /// What else was seen, by name.
    public var details: [(name: String, value: Double)]

    public init(
        _ section: String, _ name: String, _ value: Double, _ unit: String,
        _ details: [(name: String, value: Double)] = []
    ) {
        self.section = section
        self.name = name
        self.value = value
        self.unit = unit
        self.details = details
    }

    /// The row as a JSON object in one line.
    public var json: String {
        var fields = [
            "\"section\":\"\(section)\"", "\"row\":\"\(name)\"", "\"value\":\(Self.text(value))",
            "\"unit\":\"\(unit)\"",
        ]
        fields += details.map { "\"\($0.name)\":\(Self.text($0.value))" }
        return "{" + fields.joined(separator: ",") + "}"
    }

    /// JSON knows neither infinity nor "not a number".
    private static func text(_ number: Double) -> String {
        guard number.isFinite else { return "null" }
        if let whole = Int(exactly: number) { return String(whole) }
        return String((number * 1e6).rounded() / 1e6)
    }
}

/// Receives figures as they are taken.
public typealias BenchOutput = (BenchRow) -> Void
