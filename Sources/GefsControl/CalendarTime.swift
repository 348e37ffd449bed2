#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A second of UTC by the calendar.
struct CalendarTime {
    private var parts: tm

    init(secondsSince1970 seconds: Int) {
        var seconds = time_t(seconds)
        parts = tm()
        gmtime_r(&seconds, &parts)
    }

    static func now() -> CalendarTime {
        CalendarTime(secondsSince1970: time(nil))
    }

    /// As in the names of automatic snapshots: `2026.05.01_10:00:00`.
    var label: String {
        func pad(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = "\(1900 + Int(parts.tm_year)).\(pad(parts.tm_mon + 1)).\(pad(parts.tm_mday))"
        return "\(date)_\(pad(parts.tm_hour)):\(pad(parts.tm_min)):\(pad(parts.tm_sec))"
    }
}
