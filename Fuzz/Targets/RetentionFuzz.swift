import GefsFormat

@testable import GefsEngine

/// Schedules of automatic snapshots, names of states, and times; a line each.
public struct RetentionFuzz: FuzzTarget {
    public static let name = "retention"

    private static let linesMax = 4
    private static let main = Array("main".utf8)

    public init() {}

    private static func snapshots(at seconds: Int64) -> [RetentionPlan.Made] {
        guard let time = CivilTime(seconds: seconds) else { return [] }
        return SnapshotTime.Unit.allCases.enumerated().compactMap { index, unit in
            RetentionPlan.Made(
                name: SnapshotTime(branch: main, unit: unit, time: time).name,
                generation: UInt64(index))
        }
    }

    public func run(_ input: UnsafeRawBufferPointer) throws {
        var reader = InputReader(input)
        let now = Int64(bitPattern: reader.integer(UInt64.self))
        let memory = Int64(bitPattern: reader.integer(UInt64.self))
        try time(now)
        let made = Self.snapshots(at: memory)
        for _ in 0..<Self.linesMax where !reader.isAtEnd {
            let line = reader.line()
            try schedule(line, now: now, memory: memory, made)
            try specifier(line)
        }
    }

    private func time(_ seconds: Int64) throws {
        guard let time = CivilTime(seconds: seconds) else { return }
        try promise(time.seconds == seconds, "\(time) is another second")
    }

    private func schedule(
        _ line: [UInt8], now: Int64, memory: Int64, _ made: [RetentionPlan.Made]
    ) throws {
        let setting = RetentionSetting(own: line, volume: nil)
        guard let policy = setting.policy else {
            return try promise(setting.fault != nil, "a bad schedule without a fault")
        }
        let again = try? RetentionPolicy(parsing: policy.text.utf8)
        try promise(again == policy, "\(policy.text) is not read as it is written")
        for isFirstLook in [true, false] {
            let plan = RetentionPlan(
                branch: Self.main, policy: policy, made: made, now: now,
                memory: isFirstLook ? nil : [.minute: memory, .hour: memory, .day: memory],
                zeroKeepsNone: isFirstLook, isTaken: { $0.last == UInt8(ascii: "7") })
            try promise(plan.making.count <= policy.rules.count, "too many snapshots at once")
            try promise(plan.deleting.count <= made.count, "more is deleted than there is")
        }
    }

    private func specifier(_ line: [UInt8]) throws {
        if let name = SnapshotTime(name: line) {
            try promise(name.name == line, "an automatic snapshot's name does not survive")
            _ = name.nanoseconds
        }
        guard let specifier = BranchSpecifier(line) else { return }
        try promise(
            !specifier.branch.isEmpty && line.starts(with: specifier.branch),
            "a branch that was not named")
        switch specifier.state {
        case .ago(let age): try promise(age >= 0, "an age below zero")
        case .back(let count): try promise(count >= 0, "a count below zero")
        case .time, .named: break
        }
    }
}
