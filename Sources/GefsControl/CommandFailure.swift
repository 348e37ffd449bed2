/// Why a command could not do what it was asked: `gefs: WHAT: WHY`, and what to do next.
public struct CommandFailure: Error, Codable, Hashable, Sendable {
    /// What failed: a path, an image, a verb.
    public var what: String
    public var why: String
    /// What the user can do about it, where there is something.
    public var next: String?
    public var status: ExitStatus

    public init(
        _ what: String, _ why: String, next: String? = nil, status: ExitStatus = .failed
    ) {
        self.what = what
        self.why = why
        self.next = next
        self.status = status
    }

    /// The same failure, said of something else.
    public func about(_ what: String) -> CommandFailure {
        CommandFailure(what, why, next: next, status: status)
    }
}

extension CommandFailure: CustomStringConvertible {
    public var description: String {
        let text = what.isEmpty ? "gefs: \(why)" : "gefs: \(what): \(why)"
        guard let next else { return text }
        return "\(text)\n      \(next)"
    }
}
