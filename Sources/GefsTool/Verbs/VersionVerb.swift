import ArgumentParser
import GefsControl

struct VersionVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Print the version of this program.")

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        try console.result(VersionReport(version: ToolVersion.number, format: "gefs9.00")) {
            try console.line(ToolVersion.text)
        }
    }
}

/// What `gefs version --json` prints.
struct VersionReport: Report {
    static var type: String { "version" }
    var version: String
    /// The disk format that is written.
    var format: String
}
