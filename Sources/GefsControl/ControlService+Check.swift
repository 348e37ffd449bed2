import GefsEngine

extension ControlService {
    /// Checks the last commit beside everything else that goes on.
    func runCheck(_ reply: Reply) throws -> CheckReport {
        throw CommandFailure("check", "not here yet")
    }
}
