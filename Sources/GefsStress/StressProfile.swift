import GefsFormat

/// What a campaign does most: how often each operation comes, in parts of their sum.
public struct StressProfile: Sendable {
    /// One kind of operation.
    enum Operation: CaseIterable, Sendable {
        case makeTiny
        case makeFile
        case makeDirectory
        case write
        case append
        case truncate
        case punch
        case link
        case setAttribute
        case removeAttribute
        case remove
        case removeDirectory
        case rename
        case snapshot
        case fork
        case rollback
        case deleteLabel
        case sync
        case fill
        case release
        case fillWithTiny
        case measure
        case reopen
        case stopAndCheck
        case repair
    }

    public let name: String
    /// Each directory is made in the last one.
    let isDeep: Bool
    /// Branches besides `main` at most.
    let branchesMax: Int
    /// What the volume has beside the format of the original.
    let features: FormatFeatures
    private let weights: [(operation: Operation, weight: Int)]
    private let sum: Int

    private init(
        _ name: String, isDeep: Bool = false, branchesMax: Int = 3,
        features: FormatFeatures = [], _ changes: [Operation: Int]
    ) {
        self.name = name
        self.isDeep = isDeep
        self.branchesMax = branchesMax
        self.features = features
        weights = Operation.allCases.map { ($0, changes[$0] ?? Self.usual($0)) }
        sum = weights.reduce(0) { $0 + $1.weight }
    }

    private static func usual(_ operation: Operation) -> Int {
        switch operation {
        case .makeTiny: 300
        case .makeFile, .append: 150
        case .makeDirectory: 40
        case .write, .remove: 300
        case .truncate: 200
        case .punch: 80
        case .link, .setAttribute, .removeAttribute: 0
        case .removeDirectory: 20
        case .rename: 40
        case .snapshot: 12
        case .fork: 3
        case .rollback: 3
        case .deleteLabel: 14
        case .sync: 60
        case .fill: 20
        case .release: 40
        case .fillWithTiny: 0
        case .measure: 8
        case .reopen: 1
        case .stopAndCheck: 1
        case .repair: 0
        }
    }

    func pick(_ generator: inout some RandomNumberGenerator) -> Operation {
        var left = Int.random(in: 0..<sum, using: &generator)
        for (operation, weight) in weights {
            if left < weight { return operation }
            left -= weight
        }
        return .sync
    }

    /// All there are; a run takes them in turn.
    public static let all: [StressProfile] = [
        StressProfile("mixed", [:]),
        StressProfile(
            "tiny files",
            [
                .makeTiny: 2000, .makeFile: 10, .write: 50, .append: 50, .remove: 1500,
                .fillWithTiny: 2,
            ]),
        StressProfile(
            "deep directories", isDeep: true,
            [.makeDirectory: 400, .removeDirectory: 100, .makeTiny: 400, .rename: 150]),
        StressProfile(
            "snapshots pin everything", [.snapshot: 120, .deleteLabel: 110, .fork: 10, .write: 600]),
        StressProfile(
            "many branches", branchesMax: 24,
            [.fork: 60, .deleteLabel: 50, .sync: 20, .rollback: 20]),
        StressProfile(
            "births", [.write: 1500, .sync: 600, .snapshot: 20, .deleteLabel: 18, .makeFile: 300]),
        StressProfile(
            "opened when full", [.reopen: 20, .stopAndCheck: 20, .repair: 10, .fill: 80]),
        StressProfile(
            "links and attributes", features: .posix,
            [.link: 300, .setAttribute: 400, .removeAttribute: 200, .stopAndCheck: 4, .repair: 2]),
    ]
}
