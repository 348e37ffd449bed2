/// Why a rescue ends early, or cannot write one file.
public enum RescueError: Error, Hashable, Sendable {
    /// Somebody asked it to stop.
    case stopped
    /// The device holds nothing that looks like a volume.
    case nothingFound
    /// The place to copy to cannot take this file; others may go on.
    case refused(why: String)
    /// The place to copy to cannot take anything more.
    case failed(what: String, why: String, isFull: Bool)
}

extension RescueError: CustomStringConvertible {
    /// What happened.
    public var description: String {
        switch self {
        case .stopped: "stopped"
        case .nothingFound: "no part of a gefs found"
        case .refused(let why): why
        case .failed(let what, let why, _): "\(what): \(why)"
        }
    }
}
