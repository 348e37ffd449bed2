import GefsEngine

/// Settings and schedules of automatic snapshots. Source: SEMANTICS 8.2, 9.
extension ControlService {
    /// What a schedule is set to: `retain` of dialect N and `snap retain` have the same words.
    enum RetentionChoice: Equatable {
        case schedule(String)
        /// No automatic snapshots.
        case none
        /// What holds for the volume; for the volume, what holds where nothing is set.
        case standard

        /// Nil where there are no words.
        init?(_ words: some Collection<String>) {
            switch (words.first, words.count) {
            case (nil, _): return nil
            case ("none", 1): self = .none
            case ("default", 1): self = .standard
            default: self = .schedule(words.joined(separator: " "))
            }
        }
    }

    // MARK: Commands

    /// `set [snap] key val`: a setting of the volume or of a branch.
    func set(_ arguments: [String], _ reply: Reply) throws {
        guard (2...3).contains(arguments.count) else {
            throw CommandFailure("set", "usage: set [snap] key val", status: .usage)
        }
        let (key, value) = (arguments[arguments.count - 2], arguments[arguments.count - 1])
        try configure(arguments.count == 3 ? arguments[0] : nil, key, value, reply)
    }

    /// `clear [snap] key`, and as its manual spells it `clr [snap] key`.
    func clear(_ words: [String], _ reply: Reply) throws {
        guard (2...3).contains(words.count) else {
            throw CommandFailure(words[0], "usage: clear [snap] key", status: .usage)
        }
        try configure(words.count == 3 ? words[1] : nil, words[words.count - 1], nil, reply)
    }

    private func configure(
        _ label: String?, _ key: String, _ value: String?, _ reply: Reply
    ) throws {
        do throws(FileError) {
            try fileSystem.setConfiguration(
                Array(key.utf8), to: value.map { Array($0.utf8) },
                of: try label.map { (name) throws(FileError) in try resolved(name) },
                as: Caller(user: .adm))
        } catch {
            throw CommandFailure(image, error)
        }
        try reply(SettingReport(label: label, key: key, value: value))
    }

    /// `retain snap|- spec...|none|default` of dialect N.
    func retain(_ arguments: [String], _ reply: Reply) throws {
        guard let name = arguments.first,
            let choice = RetentionChoice(arguments.dropFirst())
        else {
            throw CommandFailure(
                "retain", "usage: retain snap|- spec...|none|default", status: .usage)
        }
        try failing { () throws(FileError) in try setRetention(choice, of: name) }
        try showRetention(of: name, reply)
    }

    /// `snap retain [BRANCH|- [SPEC...|none|default]]`: shows or sets schedules.
    func snapshotRetention(_ operands: [String], _ reply: Reply) throws {
        guard let name = operands.first else {
            try showRetention(of: Self.volumeName, reply)
            let labels = try failing { () throws(FileError) in try fileSystem.labels() }
            for label in labels where label.isMutable {
                try showRetention(of: String(decoding: label.name, as: UTF8.self), reply)
            }
            return
        }
        if operands.count > 1 { return try retain(operands, reply) }
        try showRetention(of: name, reply)
    }

    // MARK: Schedules

    /// Stands for the volume where a label is expected.
    private static let volumeName = "-"

    /// Sets the schedule of a branch, or with `-` of all that have none of their own.
    func setRetention(_ choice: RetentionChoice, of name: String) throws(FileError) {
        let label = name == Self.volumeName ? nil : try resolved(name)
        let value: [UInt8]? =
            switch choice {
            case .schedule(let text): Array(text.utf8)
            case .none: []
            case .standard: nil
            }
        do throws(FileError) {
            try fileSystem.setConfiguration(
                RetentionPolicy.key, to: value, of: label, as: Caller(user: .adm))
        } catch .label(.notSet, _) {
            // The default holds already.
        }
    }

    private func showRetention(of name: String, _ reply: Reply) throws {
        let report = try failing { () throws(FileError) -> RetentionReport in
            guard name != Self.volumeName else {
                return RetentionReport(nil, try fileSystem.retention(), snapshots: nil)
            }
            let label = try resolved(name)
            let count = try fileSystem.labels().count { other in
                !other.isMutable && SnapshotTime(name: other.name)?.branch == label
            }
            return RetentionReport(
                String(decoding: label, as: UTF8.self), try fileSystem.retention(of: label),
                snapshots: count)
        }
        try reply(report)
    }
}

/// A setting that was made or cleared.
public struct SettingReport: Report {
    public static var type: String { "setting" }
    /// The branch; absent for the volume.
    public var label: String?
    public var key: String
    /// Absent where it was cleared.
    public var value: String?

    var text: String {
        "\(label.map { "\($0): " } ?? "")\(key) \(value.map { "= '\($0)'" } ?? "cleared")"
    }
}

/// The schedule of automatic snapshots that holds for a branch.
public struct RetentionReport: Report {
    public static var type: String { "retention" }
    /// Absent for the volume: what holds for branches that have no schedule of their own.
    public var branch: String?
    /// Words `[COUNT]@[INTERVAL]UNIT`; empty where no snapshots are made.
    public var schedule: String
    /// Where it is set: `branch`, `volume`, or `standard` where nothing is.
    public var source: String
    /// What is wrong with it; then no snapshots are made.
    public var fault: String?
    /// How many automatic snapshots the branch has.
    public var snapshots: Int?

    init(_ branch: String?, _ setting: RetentionSetting, snapshots: Int?) {
        self.branch = branch
        schedule = setting.policy?.text ?? String(decoding: setting.text, as: UTF8.self)
        source = setting.source.rawValue
        fault = setting.fault?.words
        self.snapshots = snapshots
    }

    var text: String {
        let name = branch ?? "all others"
        if let fault { return "\(name): none, since \(fault)" }
        let words = schedule.isEmpty ? "none" : schedule
        let origin =
            switch (source, branch) {
            case ("standard", _): " (default)"
            case ("volume", _?): " (as all others)"
            default: ""
            }
        let count = snapshots.map { ", has \($0) snapshot\($0 == 1 ? "" : "s")" } ?? ""
        return "\(name): \(words)\(origin)\(count)"
    }
}
