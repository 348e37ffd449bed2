import GefsControl

/// Prints the reports of a command as they come: as JSON, or for people.
struct ReportPrinter {
    private let console: Console
    private let format: ReportText

    init(_ console: Console) {
        self.console = console
        format = ReportText(showsBytes: console.showsBytes, isVerbose: console.isVerbose)
    }

    /// Prints a report of this type, given as its line of JSON.
    func show(_ type: String, _ line: [UInt8]) throws {
        if console.isJSON {
            // A dump has its own JSON inside.
            let object =
                type == DumpReport.type
                ? Array(try ReportLine.decode(DumpReport.self, from: line).json.utf8) : line
            try console.output.write(object + [UInt8(ascii: "\n")])
            return
        }
        for text in try format.lines(type, line) {
            let isImportant = type == FindingReport.type && text.hasPrefix("error")
            let shown = ByteText.shownLines(text)
            try console.line(isImportant ? console.emphasized(shown) : shown)
        }
    }

    func show<R: Report>(_ report: R) throws {
        try show(R.type, try ReportLine.encode(report))
    }
}
