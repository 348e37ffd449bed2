import ArgumentParser
import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A command that does its work on a console.
protocol Verb: ParsableCommand {
    var console: Console { get }
    func perform(on console: Console) throws
}

extension Verb {
    mutating func run() throws {
        let console = console
        do {
            try perform(on: console)
        } catch {
            // What was found before the failure is worth having.
            try console.output.flush()
            throw error
        }
        try console.output.flush()
    }
}

/// Where the process begins and ends.
@main
enum Tool {
    static func main() {
        Interruption.install()
        let arguments = rawArguments()
        var parsed: any ParsableCommand.Type = Gefs.self
        do {
            var command = try Gefs.parseAsRoot(arguments)
            parsed = type(of: command)
            try command.run()
        } catch let failure as CommandFailure {
            report(failure, asJSON: arguments.contains("--json"))
            exit(failure.status.rawValue)
        } catch is OutputClosed {
            exit(ExitStatus.failed.rawValue)
        } catch let status as ExitStatus {
            exit(status.rawValue)
        } catch {
            exit(endOfParsing(error, of: parsed, arguments).rawValue)
        }
    }

    /// The arguments without the program's name; bytes that are no UTF-8 survive.
    private static func rawArguments() -> [String] {
        (1..<max(1, Int(CommandLine.argc))).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                let bytes = UnsafeRawBufferPointer(start: argument, count: strlen(argument))
                return ByteText.string(Array(bytes))
            }
        }
    }

    private static func report(_ failure: CommandFailure, asJSON: Bool) {
        if asJSON, let line = try? ReportLine.encode(failure) {
            Console.complain(String(decoding: line, as: UTF8.self))
        } else {
            Console.complain(failure.description)
        }
    }

    /// Help and version go to standard output; anything else is a mistake in the arguments.
    private static func endOfParsing(
        _ error: any Error, of command: any ParsableCommand.Type, _ arguments: [String]
    ) -> ExitStatus {
        let text = command.fullMessage(for: error)
        switch Gefs.exitCode(for: error) {
        case .success:
            print(text)
            return .done
        case .validationFailure:
            if arguments.contains("--json") {
                report(
                    CommandFailure("usage", Gefs.message(for: error), status: .usage), asJSON: true)
                return .usage
            }
            let prefix = "Error: "
            let shown = text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : text
            Console.complain("gefs: \(ByteText.shownLines(shown))")
            return .usage
        default:
            Console.complain("gefs: \(error)")
            return .failed
        }
    }
}
