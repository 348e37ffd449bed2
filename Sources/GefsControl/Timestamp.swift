#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

/// Times as reports and the tool show them: ISO 8601 in UTC.
public enum Timestamp {
    /// `2026-11-23T01:02:03Z`.
    public static func text(seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).ISO8601Format()
    }

    /// `2026-11-23T01:02:03.000000001Z`; the fraction is left out where it is zero.
    public static func text(nanoseconds: Int64) -> String {
        let billion: Int64 = 1_000_000_000
        var (seconds, fraction) = nanoseconds.quotientAndRemainder(dividingBy: billion)
        if fraction < 0 {
            seconds -= 1
            fraction += billion
        }
        let whole = text(seconds: seconds)
        guard fraction != 0 else { return whole }
        let digits = String(fraction)
        let padding = String(repeating: "0", count: 9 - digits.count)
        return whole.dropLast() + "." + padding + digits + "Z"
    }
}
