import GefsEngine

extension ControlService {
    /// `check [--strict] [--repair]`: beside everything else that goes on.
    func check(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        let flags = Set(arguments)
        guard flags.isSubset(of: ["--strict", "--repair"]) else {
            throw CommandFailure("check", "usage: check [--strict] [--repair]", status: .usage)
        }
        let isStrict = flags.contains("--strict")
        let goesOn: Checker.ProgressHandler = { _ in !self.isCancelled() }
        guard flags.contains("--repair") else {
            return try runCheck().send(isStrict: isStrict, reply)
        }
        let repair = try failing { () throws(FileError) in
            try fileSystem.repair(progress: goesOn)
        }
        try reply(RepairResultReport(repair))
        return try repair.check.send(isStrict: isStrict, reply)
    }

    /// Checks the last commit.
    func runCheck() throws(CommandFailure) -> CheckReport {
        try failing { () throws(FileError) in
            try fileSystem.check { _ in !self.isCancelled() }
        }
    }
}
