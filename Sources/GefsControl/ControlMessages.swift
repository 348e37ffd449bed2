/// What a program writes to the control file: one JSON line. Source: Docs/PROTOCOL.md.
public struct ControlRequest: Report {
    public static var type: String { "request" }

    /// The command and its arguments, as on the command line.
    public var words: [String]

    public init(_ words: [String]) {
        self.words = words
    }
}

/// The last line of an answer that is no error.
public struct EndReport: Report {
    public static var type: String { "end" }
    public var status: Int32

    public init(status: ExitStatus) {
        self.status = status.rawValue
    }
}

/// A line of the console for people: what was done.
public struct MessageReport: Report {
    public static var type: String { "message" }
    public var text: String

    public init(_ text: String) {
        self.text = text
    }
}

/// The commands of the console.
public struct HelpReport: Report {
    public static var type: String { "help" }

    public struct Command: Codable, Sendable {
        public var usage: String
        public var effect: String

        public init(usage: String, effect: String) {
            self.usage = usage
            self.effect = effect
        }
    }

    public var commands: [Command]

    public init(commands: [Command]) {
        self.commands = commands
    }
}

/// The server has committed and is about to end.
public struct HaltReport: Report {
    public static var type: String { "halt" }
    /// The image; its lock is free when the server is gone.
    public var image: String
    public var process: Int32

    public init(image: String, process: Int32) {
        self.image = image
        self.process = process
    }
}
