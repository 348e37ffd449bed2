/// Where in the exploration of one recording a state is: enough to make it again.
///
/// As text `INTERVAL.NUMBER`, and behind a slash the same of the second crash.
public struct CrashPlace: Hashable, Sendable, LosslessStringConvertible {
    /// One crash.
    public struct Step: Hashable, Sendable {
        /// Which interval between flushes.
        public var interval: Int
        /// Which of its states.
        public var number: Int
    }

    /// The crashes, the first one first.
    public var steps: [Step]

    init(_ steps: [Step]) {
        self.steps = steps
    }

    public init?(_ description: String) {
        steps = []
        for part in description.split(separator: "/") {
            let numbers = part.split(separator: ".").compactMap { Int($0) }
            guard numbers.count == 2 else { return nil }
            steps.append(Step(interval: numbers[0], number: numbers[1]))
        }
        guard !steps.isEmpty else { return nil }
    }

    public var description: String {
        steps.map { "\($0.interval).\($0.number)" }.joined(separator: "/")
    }
}
