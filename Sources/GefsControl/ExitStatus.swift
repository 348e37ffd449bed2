/// How a command ended, as a shell sees it. Source: CLI.md, "Exit status"; Docs/PROTOCOL.md.
public enum ExitStatus: Int32, Error, Codable, Sendable {
    case done = 0
    case failed = 1
    case usage = 2
    /// The command did its work, and the work found something (`check`).
    case findings = 3
    /// No such image, or the image holds no gefs.
    case noImage = 4
    case busy = 5
    case corrupt = 6
    case noSpace = 7
    case permission = 8
    case interrupted = 130

    /// A comparison found differences: 1, as diff(1) says it.
    public static var differs: ExitStatus { .failed }
}
