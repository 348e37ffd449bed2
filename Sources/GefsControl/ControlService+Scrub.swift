import GefsEngine

extension ControlService {
    private static let scrubUsage = CommandFailure(
        "scrub", "usage: scrub [start] [--rate RATE] | status | pause | resume | cancel",
        status: .usage)

    /// `scrub [start] [--rate RATE]`, `scrub status|pause|resume|cancel`. Without `start` the answer
    /// comes when the scrub is over.
    func scrub(_ arguments: [String], _ reply: Reply) throws -> ExitStatus {
        switch arguments {
        case ["status"]: break
        case ["pause"], ["resume"]: fileSystem.pauseScrub(arguments == ["pause"])
        case ["cancel"]:
            fileSystem.cancelScrub()
            fileSystem.waitForScrub { !isCancelled() }
        default:
            let waits = arguments.first != "start"
            let rate = try Self.scrubRate(waits ? arguments[...] : arguments.dropFirst())
            guard fileSystem.startScrub(rate: rate) else {
                throw CommandFailure(
                    image, "a scrub is under way", next: "scrub status shows it", status: .busy)
            }
            guard waits else { break }
            fileSystem.waitForScrub { !isCancelled() }
            if isCancelled() { fileSystem.cancelScrub() }
            fileSystem.waitForScrub()
        }
        return try Self.send(fileSystem.scrubState, reply)
    }

    /// Hands out the state, and what the last scrub has found.
    ///
    /// - Returns: the exit status that a scrub with this result has.
    public static func send(
        _ state: ScrubState, _ reply: (any Report) throws -> Void
    ) rethrows -> ExitStatus {
        if !state.isRunning {
            for finding in state.last?.findings ?? [] { try reply(DamagedBlockReport(finding)) }
        }
        try reply(ScrubReport(state))
        if state.isRunning { return .done }
        return state.last?.findingCount ?? 0 > 0 ? .findings : .done
    }

    private static func scrubRate(_ arguments: ArraySlice<String>) throws -> UInt64 {
        let words = Array(arguments)
        if words.isEmpty { return FileSystem.scrubRateDefault }
        guard words.count == 2, words[0] == "--rate", let rate = HumanSize.parse(words[1]),
            rate > 0
        else { throw scrubUsage }
        return rate
    }
}
