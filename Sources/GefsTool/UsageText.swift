import ArgumentParser
import GefsControl

/// How the tool ends where the arguments are wrong, or ask for help.
enum UsageText {
    /// Prints help and version to standard output, a mistake to standard error.
    static func end(
        _ error: any Error, of command: any ParsableCommand.Type, _ arguments: [String]
    ) -> ExitStatus {
        switch Gefs.exitCode(for: error) {
        case .success:
            print(Gefs.fullMessage(for: error))
            return .done
        case .validationFailure:
            if arguments.contains("--json") {
                let failure = CommandFailure(
                    "usage", Gefs.message(for: error), status: .usage)
                Tool.report(failure, asJSON: true)
            } else {
                let text = ByteText.shownLines(mistake(error, in: command))
                Console.complain("gefs: \(text)")
            }
            return .usage
        default:
            Console.complain("gefs: \(error)")
            return .failed
        }
    }

    /// What is wrong, and how the command is used.
    private static func mistake(
        _ error: any Error, in command: any ParsableCommand.Type
    ) -> String {
        let prefix = "Error: "
        let text = command.fullMessage(for: error)
        let message = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
        // A mistake that the parser found names the whole command; one that a verb found, only
        // the last word of it.
        guard command != Gefs.self, let path = path(to: command, from: Gefs.self) else {
            return message
        }
        return message.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            let usage = "Usage: "
            if line.hasPrefix(usage), !line.hasPrefix(usage + "gefs ") {
                let operands = line.dropFirst(usage.count).drop { $0 != " " }
                return "\(usage)\(path)\(operands)"
            }
            return line.contains("See '")
                ? "  See '\(path) --help' for more information." : "\(line)"
        }.joined(separator: "\n")
    }

    /// The words that lead to a command.
    private static func path(
        to command: any ParsableCommand.Type, from start: any ParsableCommand.Type
    ) -> String? {
        let name = start._commandName
        if start == command { return name }
        for subcommand in start.configuration.subcommands {
            if let rest = path(to: command, from: subcommand) { return "\(name) \(rest)" }
        }
        return nil
    }
}
