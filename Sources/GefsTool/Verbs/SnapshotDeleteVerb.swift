import ArgumentParser
import GefsControl

struct SnapshotDeleteVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Delete branches and snapshots: all of them, or none.",
        usage: "gefs snap delete IMAGE NAME ... [--match PATTERN ...]",
        discussion: """
            What only they hold becomes free, in the background. None of them may be in use. \
            --match adds the labels that a pattern fits, as a shell's. More than 4000 labels are \
            deleted 4000 at a time. --dry-run says how much space deleting all of them together \
            would free, exactly.

            Examples:
              gefs snap delete disk.img before-upgrade
              gefs snap delete disk.img --match 'main@minute.*' --yes
            """)

    @Argument(
        help: ArgumentHelp("The image, then the labels.", valueName: "image> <name"),
        completion: .file())
    var operands: [String] = []

    @Option(
        help: ArgumentHelp(
            "Labels that fit this pattern, too; say it again for more.", valueName: "pattern"))
    var match: [String] = []

    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, operands) = try image.split(operands)
        var seen: Set<String> = []
        let names = (operands + (try matches(on: image, console))).filter {
            seen.insert($0).inserted
        }
        guard !names.isEmpty else {
            if match.isEmpty { throw ValidationError("Expected the names of labels.") }
            console.note("no label fits")
            return
        }
        if confirmation.dryRun {
            _ = try Administration.show(
                ["snap", "delete", "--dry-run"] + names, on: image, console: console)
            return
        }
        // What cannot be deleted is told before anybody is asked.
        if !confirmation.yes {
            for batch in batches(of: names) {
                _ = try Administration.perform(
                    ["snap", "delete", "--dry-run"] + batch, on: image, console: console
                ) { _, _ in }
            }
        }
        let shown = names.prefix(20).map { ByteText.shown($0) }.joined(separator: ", ")
        let more = names.count > 20 ? " and \(names.count - 20) more" : ""
        guard try confirmation.confirm("delete \(shown)\(more)", verb: "snap", on: console) else {
            return
        }
        for batch in batches(of: names) {
            try Interruption.check()
            _ = try Administration.show(
                ["snap", "delete"] + batch, on: image, for: .writing, console: console)
        }
    }

    /// Labels that one command deletes: the request has to fit a message.
    private static let namesMax = 4000

    private func batches(of names: [String]) -> [ArraySlice<String>] {
        stride(from: 0, to: names.count, by: Self.namesMax).map {
            names[$0..<min($0 + Self.namesMax, names.count)]
        }
    }

    /// Labels that nobody can delete, and no pattern means.
    private static let reserved = ["adm", "empty"]

    /// The labels that fit one of the patterns, in label order.
    private func matches(on image: String, _ console: Console) throws -> [String] {
        if match.isEmpty { return [] }
        let patterns = match.map { GlobPattern($0) }
        var names: [String] = []
        _ = try Administration.perform(["snap", "-l"], on: image, console: console) { type, line in
            guard type == LabelNameReport.type else { return }
            let name = try ReportLine.decode(LabelNameReport.self, from: line).name
            if Self.reserved.contains(name) { return }
            if patterns.contains(where: { $0.matches(ByteText.bytes(of: name)) }) {
                names.append(name)
            }
        }
        return names
    }
}
