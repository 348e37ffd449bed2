/// A second of the proleptic Gregorian calendar in UTC, in the years 0 to 9999.
///
/// Names of automatic snapshots and times in names of branches are spelled with it. Days have
/// 86,400 seconds: leap seconds are not counted, as by clocks.
public struct CivilTime: Hashable, Sendable {
    public let year: Int
    public let month: Int
    public let day: Int
    public let hour: Int
    public let minute: Int
    public let second: Int

    /// Seconds of a day.
    public static let daySeconds: Int64 = 86_400
    private static let yearMax = 9999

    /// A time made of its parts; nil where there is no such day or second.
    public init?(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        guard (0...Self.yearMax).contains(year), (1...12).contains(month), day >= 1,
            day <= Self.dayCount(year: year, month: month),
            (0...23).contains(hour), (0...59).contains(minute), (0...59).contains(second)
        else { return nil }
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The time so many seconds after 1970 began; nil outside of the years that are counted.
    public init?(seconds: Int64) {
        let (days, rest) = floorDivide(seconds, Self.daySeconds)
        guard let date = Self.date(dayNumber: days) else { return nil }
        self.init(
            year: date.year, month: date.month, day: date.day, hour: Int(rest / 3600),
            minute: Int(rest / 60 % 60), second: Int(rest % 60))
    }

    /// Seconds since 1970.
    public var seconds: Int64 {
        let clock = (hour * 60 + minute) * 60 + second
        return Self.dayNumber(year: year, month: month, day: day) * Self.daySeconds + Int64(clock)
    }

    // MARK: Days

    // Years are counted from March, so that the leap day is the last of its year, in eras of 400
    // years, which all have the same number of days.
    private static let eraDays: Int64 = 146_097
    /// Days from the first of March of year 0 to the first of January 1970.
    private static let epochDays: Int64 = 719_468

    static func dayCount(year: Int, month: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        switch month {
        case 2: return isLeap ? 29 : 28
        case 4, 6, 9, 11: return 30
        default: return 31
        }
    }

    /// Days since 1970 began.
    private static func dayNumber(year: Int, month: Int, day: Int) -> Int64 {
        let marchYear = Int64(month > 2 ? year : year - 1)
        let (era, yearOfEra) = floorDivide(marchYear, 400)
        let monthFromMarch = Int64(month > 2 ? month - 3 : month + 9)
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + Int64(day) - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * eraDays + dayOfEra - epochDays
    }

    private static func date(dayNumber: Int64) -> (year: Int, month: Int, day: Int)? {
        // Far outside of what is counted; nothing below can overflow.
        guard abs(dayNumber) < 10_000 * 366 else { return nil }
        let (era, dayOfEra) = floorDivide(dayNumber + epochDays, eraDays)
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (Int(year), Int(month), Int(day))
    }
}

extension CivilTime: CustomStringConvertible {
    /// As in `2026-11-22T10:00:00Z`.
    public var description: String {
        "\(padded(year, 4))-\(padded(month))-\(padded(day))"
            + "T\(padded(hour)):\(padded(minute)):\(padded(second))Z"
    }
}

/// Decimal digits of a number that is not negative, with zeros in front.
func padded(_ number: Int, _ width: Int = 2) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

/// Quotient rounded down, and what is left: never negative. The divisor is above 0.
func floorDivide(_ number: Int64, _ divisor: Int64) -> (quotient: Int64, remainder: Int64) {
    let (quotient, remainder) = number.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
}
