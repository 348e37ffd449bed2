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

/// A command that is nothing without one of its subcommands.
protocol VerbGroup: ParsableCommand {}

extension VerbGroup {
    mutating func run() throws {
        throw MissingSubcommand(group: Self.self)
    }
}

/// Which group was named without saying what of it.
struct MissingSubcommand: Error {
    var group: any ParsableCommand.Type
}

/// Where the process begins and ends.
@main
enum Tool {
    static func main() {
        Interruption.install()
        var arguments = rawArguments()
        if let verb = MountHelper.verb(name: CommandLine.arguments.first ?? "", arguments) {
            arguments = verb
        }
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
        } catch let status as CommandStatus {
            exit(status.code)
        } catch let missing as MissingSubcommand {
            Console.complain(Gefs.helpMessage(for: missing.group))
            exit(ExitStatus.usage.rawValue)
        } catch {
            exit(UsageText.end(error, of: parsed, arguments).rawValue)
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

    /// Tells a failure on standard error.
    static func report(_ failure: CommandFailure, asJSON: Bool) {
        if asJSON, let line = try? ReportLine.encode(failure) {
            Console.complain(String(decoding: line, as: UTF8.self))
        } else {
            Console.complain(failure.description)
        }
    }
}
