import GefsEngine

/// What runs the commands that administer a file system.
///
/// Called on threads that may block; several commands may run at once.
public protocol ControlHandler: Sendable {
    /// Runs one line of the control socket's `ctl` file or of the console, its newline taken off,
    /// and gives the text that the client then reads.
    func run(_ command: String, user: UserID) -> String

    /// Like the other `run`, and hands the text out as it comes.
    func run(_ command: String, user: UserID, output: (String) -> Void)

    /// Runs one line written to the file `ctl` of label `adm`, its newline taken off; returns when
    /// the operation is done. Source: SEMANTICS 9, dialect N.
    func runMessage(_ line: String, user: UserID) throws(ControlMessageError)

    /// What the file `status` of label `adm` says. Source: SEMANTICS 9, dialect N.
    func status() throws(FileError) -> String
}

extension ControlHandler {
    public func run(_ command: String, user: UserID, output: (String) -> Void) {
        output(run(command, user: user))
    }

    public func runMessage(_ line: String, user: UserID) throws(ControlMessageError) {
        throw .invalid
    }

    public func status() throws(FileError) -> String { "" }
}

/// Why a line written to the file `ctl` was not carried out.
public enum ControlMessageError: Error, Hashable, Sendable {
    /// No command, or not with these operands.
    case invalid
    /// The file system is damaged.
    case checkFailed
    case file(FileError)
    /// Any other reason, in words.
    case refused(String)
}
