import GefsFormat

/// What the name of an automatic snapshot says: `LABEL@UNIT.YYYY.MM.DD_hh:mm:ss`, in UTC.
///
/// Source: SEMANTICS 8.3.
public struct SnapshotTime: Hashable, Sendable {
    /// What a schedule counts in.
    public enum Unit: String, CaseIterable, Sendable {
        case minute
        case hour
        case day

        /// How long one lasts.
        public var seconds: Int64 {
            switch self {
            case .minute: 60
            case .hour: 3600
            case .day: CivilTime.daySeconds
            }
        }

        /// How retention schedules write it.
        public var letter: Character {
            switch self {
            case .minute: "m"
            case .hour: "h"
            case .day: "d"
            }
        }
    }

    /// The label that the snapshot is one of.
    public var branch: [UInt8]
    public var unit: Unit
    public var time: CivilTime

    public init(branch: [UInt8], unit: Unit, time: CivilTime) {
        self.branch = branch
        self.unit = unit
        self.time = time
    }

    /// Reads a name; nil where it is none of an automatic snapshot.
    public init?(name: some BidirectionalCollection<UInt8>) {
        guard let at = name.lastIndex(of: UInt8(ascii: "@")), at != name.startIndex,
            let dot = name[at...].firstIndex(of: UInt8(ascii: "."))
        else { return nil }
        let word = String(decoding: name[name.index(after: at)..<dot], as: UTF8.self)
        guard let unit = Unit(rawValue: word),
            let time = Self.time(name[name.index(after: dot)...])
        else { return nil }
        self.init(branch: Array(name[..<at]), unit: unit, time: time)
    }

    private static func time(_ text: some Sequence<UInt8>) -> CivilTime? {
        var text = TextCursor(text)
        guard let year = text.number(digits: 4), text.take("."),
            let month = text.number(digits: 2), text.take("."),
            let day = text.number(digits: 2), text.take("_"),
            let hour = text.number(digits: 2), text.take(":"),
            let minute = text.number(digits: 2), text.take(":"),
            let second = text.number(digits: 2), text.isAtEnd
        else { return nil }
        return CivilTime(
            year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }

    /// The snapshot's name. Longer than a label may be where the branch's own name is long.
    public var name: [UInt8] {
        branch + Array("@\(unit.rawValue).\(stamp)".utf8)
    }

    /// Nanoseconds since 1970; nil for years that such a number cannot tell.
    public var nanoseconds: Int64? {
        let (nanoseconds, overflows) = time.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflows ? nil : nanoseconds
    }

    private var stamp: String {
        "\(padded(time.year, 4)).\(padded(time.month)).\(padded(time.day))"
            + "_\(padded(time.hour)):\(padded(time.minute)):\(padded(time.second))"
    }
}
