import ArgumentParser
import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Options of verbs that destroy something.
struct ConfirmationOptions: ParsableArguments {
    @Flag(name: [.customShort("y"), .long], help: "Do it without asking.")
    var yes = false

    @Flag(help: "Say what would be done, and do nothing.")
    var dryRun = false

    /// Asks before something is destroyed.
    ///
    /// - Parameters:
    ///   - plan: what will be done, as a sentence without a full stop.
    ///   - verb: who asks, for the error.
    /// - Returns: false where nothing is to be done.
    /// - Throws: a `CommandFailure` where nobody can be asked, or the answer is no.
    func confirm(_ plan: String, verb: String, on console: Console) throws -> Bool {
        if dryRun {
            try console.line("would \(plan)")
            return false
        }
        if yes { return true }
        guard isatty(STDIN_FILENO) == 1, isatty(STDERR_FILENO) == 1 else {
            throw CommandFailure(
                verb, "would \(plan); refused without --yes, since nobody can be asked",
                next: "say --yes to do it, or --dry-run to see it", status: .usage)
        }
        let question = Array("gefs: \(verb) will \(plan). Go on? [y/N] ".utf8)
        _ = question.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        let answer = readLine(strippingNewline: true)?.lowercased()
        try Interruption.check()
        guard answer == "y" || answer == "yes" else {
            throw CommandFailure(verb, "nothing was done", status: .failed)
        }
        return true
    }
}
