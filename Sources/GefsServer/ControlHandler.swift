import GefsEngine

/// What runs the commands written to the control socket's `ctl` file.
public protocol ControlHandler: Sendable {
    /// Runs one line, its newline taken off, and gives the text that the client then reads.
    ///
    /// Called on a thread that may block; several commands may run at once.
    func run(_ command: String, user: UserID) -> String
}
