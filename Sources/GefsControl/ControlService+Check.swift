import GefsEngine

extension ControlService {
    /// Checks the last commit beside everything else that goes on.
    func runCheck() throws(CommandFailure) -> CheckReport {
        do throws(FileError) {
            return try fileSystem.check { _ in !self.isCancelled() }
        } catch {
            throw CommandFailure(image, error)
        }
    }
}
