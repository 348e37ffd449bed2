import GefsFormat

/// One thing that a repair puts right, or that cannot be had back.
public struct RepairNote: Hashable, Sendable {
    /// What becomes of it.
    public enum Outcome: String, Hashable, Sendable, CaseIterable {
        /// Put right; nothing of a user's is lost by it.
        case mended
        /// Gone for good, or damaged.
        case lost
        /// Kept, but in another place.
        case moved
        /// Left as it is.
        case left
    }

    /// What becomes of it.
    public var outcome: Outcome
    /// A stable word for what it is about: `superblock`, `arena`, `log`, `block`, `tree`, `record`,
    /// `label`, `file`, `entry`, `deadlist`, `space`.
    public var subject: String
    /// The labels whose trees it is about, if it is about trees.
    public var labels: [String] = []
    /// The file, as far as its path is known.
    public var path: String?
    /// The bytes of the file, if it is about a part.
    public var range: Range<UInt64>?
    /// What and why, without labels, path and range.
    public var text: String

    init(
        _ outcome: Outcome, _ subject: String, _ text: String, labels: [String] = [],
        path: String? = nil, range: Range<UInt64>? = nil
    ) {
        self.outcome = outcome
        self.subject = subject
        self.text = text
        self.labels = labels
        self.path = path
        self.range = range
    }
}

extension RepairNote: CustomStringConvertible {
    /// `lost: main: /a/b: bytes 0 to 16383: block 0x7f4000 is damaged`.
    public var description: String {
        var parts = [outcome.rawValue]
        if !labels.isEmpty { parts.append(labels.joined(separator: ", ")) }
        if let path { parts.append(path) }
        if let range, !range.isEmpty {
            parts.append("bytes \(range.lowerBound) to \(range.upperBound - 1)")
        }
        parts.append(text)
        return parts.joined(separator: ": ")
    }
}

/// Collects notes. What concerns the same file in several trees becomes one note.
struct RepairNotes {
    private struct Name: Hashable {
        var note: RepairNote
    }

    private var places: [Name: Int] = [:]
    private(set) var all: [RepairNote] = []

    mutating func add(_ note: RepairNote) {
        var bare = note
        bare.labels = []
        if let place = places[Name(note: bare)] {
            for label in note.labels where !all[place].labels.contains(label) {
                all[place].labels.append(label)
            }
            return
        }
        places[Name(note: bare)] = all.count
        all.append(note)
    }

    mutating func add(_ notes: [RepairNote]) {
        for note in notes { add(note) }
    }
}
