/// A name for a state of a branch that is no label: `BRANCH@TIME`, `BRANCH@LABEL`, `BRANCH~N`.
///
/// Times are UTC unless they say otherwise, as in the names of automatic snapshots:
/// `2026-11-22` (its first second), `2026-11-22T10:00`, `2026-11-22T10:00:30`, each time of day with
/// `Z`, `+01:00` or `-01:00` behind it if wanted, and `-15m`: so long ago, in s, m, h, d or w, also
/// as `-1d12h`.
struct BranchSpecifier: Hashable, Sendable {
    enum State: Hashable, Sendable {
        /// As many distinct snapshots before the branch's own state.
        case back(Int)
        /// So many nanoseconds ago.
        case ago(Int64)
        /// The last nanosecond of a second, or a nanosecond, since 1970.
        case time(Int64)
        /// A label, or the beginning of what stands behind the `@` of automatic snapshots.
        case named([UInt8])
    }

    /// What stands in front: a label, or another name for a state.
    var branch: [UInt8]
    var state: State

    /// Takes a name apart: `~N` at its end, else what stands behind the last `@`. Nil where it
    /// has neither.
    init?(_ name: [UInt8]) {
        if let tilde = name.lastIndex(of: UInt8(ascii: "~")), tilde > 0 {
            var text = TextCursor(name[(tilde + 1)...])
            if let count = text.number(digitsMax: 9), text.isAtEnd {
                self.init(branch: Array(name[..<tilde]), state: .back(count))
                return
            }
        }
        guard let at = name.lastIndex(of: UInt8(ascii: "@")), at > 0, at + 1 < name.count else {
            return nil
        }
        self.init(
            branch: Array(name[..<at]), state: Self.state(Array(name[(at + 1)...])))
    }

    private init(branch: [UInt8], state: State) {
        self.branch = branch
        self.state = state
    }

    private static func state(_ text: [UInt8]) -> State {
        if let age = age(text) { return .ago(age) }
        if let time = time(text) { return .time(time) }
        return .named(text)
    }

    // MARK: Times

    static let second: Int64 = 1_000_000_000

    private static func age(_ text: [UInt8]) -> Int64? {
        var text = TextCursor(text)
        guard text.take("-") else { return nil }
        var total: Int64 = 0
        repeat {
            guard let number = text.number(digitsMax: 9), let unit = text.takeAny(),
                let seconds = unitSeconds(unit)
            else { return nil }
            let (part, isTooLong) = (Int64(number) * seconds).multipliedReportingOverflow(
                by: second)
            let (sum, overflows) = total.addingReportingOverflow(part)
            // Longer than clocks can tell is as long as they can.
            total = isTooLong || overflows ? .max : sum
        } while !text.isAtEnd
        return total
    }

    private static func unitSeconds(_ letter: UInt8) -> Int64? {
        switch Character(Unicode.Scalar(letter)) {
        case "s": 1
        case "m": 60
        case "h": 3600
        case "d": CivilTime.daySeconds
        case "w": 7 * CivilTime.daySeconds
        default: nil
        }
    }

    private static func time(_ text: [UInt8]) -> Int64? {
        var text = TextCursor(text)
        guard let year = text.number(digits: 4), text.take("-"),
            let month = text.number(digits: 2), text.take("-"),
            let day = text.number(digits: 2)
        else { return nil }
        var clock = Clock()
        if !text.isAtEnd {
            guard text.take("T") || text.take("t"), let read = Clock(&text), text.isAtEnd else {
                return nil
            }
            clock = read
        }
        let civil = CivilTime(
            year: year, month: month, day: day, hour: clock.hour, minute: clock.minute,
            second: clock.second)
        guard let civil else { return nil }
        return nanoseconds(
            seconds: civil.seconds - clock.offsetSeconds, fraction: clock.nanoseconds)
    }

    /// Times that clocks cannot tell are the nearest that they can.
    private static func nanoseconds(seconds: Int64, fraction: Int64) -> Int64 {
        let (start, overflows) = seconds.multipliedReportingOverflow(by: second)
        if overflows { return seconds < 0 ? .min : .max }
        let (sum, isTooLate) = start.addingReportingOverflow(fraction)
        return isTooLate ? .max : sum
    }

    /// A time of day and its zone: `10:00[:30[.5]][Z|+01:00|-01:00]`.
    private struct Clock {
        var hour = 0
        var minute = 0
        var second = 0
        /// What is named is all of a second, unless it says which part.
        var nanoseconds = BranchSpecifier.second - 1
        var offsetSeconds: Int64 = 0

        init() {}

        init?(_ text: inout TextCursor) {
            guard let hour = text.number(digits: 2), text.take(":"),
                let minute = text.number(digits: 2)
            else { return nil }
            self.hour = hour
            self.minute = minute
            if text.take(":") {
                guard let second = text.number(digits: 2) else { return nil }
                self.second = second
                if text.take(".") {
                    guard let fraction = Self.fraction(&text) else { return nil }
                    nanoseconds = fraction
                }
            }
            guard readZone(&text) else { return nil }
        }

        private static func fraction(_ text: inout TextCursor) -> Int64? {
            let before = text.rest.count
            guard let number = text.number(digitsMax: 9) else { return nil }
            let missing = 9 - (before - text.rest.count)
            return (0..<missing).reduce(Int64(number)) { value, _ in value * 10 }
        }

        private mutating func readZone(_ text: inout TextCursor) -> Bool {
            if text.isAtEnd || text.take("Z") || text.take("z") { return true }
            let isEast = text.take("+")
            guard isEast || text.take("-"), let hours = text.number(digits: 2), hours <= 23,
                text.take(":"), let minutes = text.number(digits: 2), minutes <= 59
            else { return false }
            let offset = Int64(hours * 60 + minutes) * 60
            offsetSeconds = isEast ? offset : -offset
            return true
        }
    }
}
