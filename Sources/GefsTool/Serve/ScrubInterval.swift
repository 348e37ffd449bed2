/// How often a server scrubs, as people write it.
enum ScrubInterval {
    /// Reads `30s`, `10m`, `12h`, `7d`, `1w`; nil for anything else, and beyond a century.
    static func seconds(_ text: String) -> Int64? {
        let units: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800]
        guard let last = text.last, let unit = units[last], let count = Int64(text.dropLast()),
            (1...5200).contains(count)
        else { return nil }
        return count * unit
    }
}
