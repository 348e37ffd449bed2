import ArgumentParser
import GefsControl

struct SnapshotListVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List branches and snapshots, and the space that they take.",
        discussion: """
            TIME is when a label was made. REFERS TO is the size of all that is in it; ONLY HERE is \
            what deleting it alone would free, which says little about several: ask \
            gefs snap delete --dry-run. Sizes are those of the last commit. --short leaves them \
            out, and is instant however many labels there are.

            Examples:
              gefs snap list disk.img
              gefs snap list disk.img --sort exclusive --reverse
              gefs snap list disk.img --short
              gefs ls disk.img old:/          what label old holds
            """)

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case name
        case time
        case generation
        case referenced
        case exclusive
    }

    @OptionGroup var image: ImageOperand

    @Flag(help: "Names only, without sizes.")
    var short = false

    @Option(help: "Order: by name, time, generation, referenced or exclusive bytes.")
    var sort: Order?

    @Flag(help: "The other way round.")
    var reverse = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        var labels: [(report: LabelReport, line: [UInt8])] = []
        _ = try Administration.perform(
            ["snap", "list"] + (short ? ["--short"] : []), on: image.resolved(), console: console
        ) { type, line in
            guard type == LabelReport.type else { return }
            labels.append((try ReportLine.decode(LabelReport.self, from: line), line))
        }
        if let sort { labels.sort { sort.isBefore($0.report, $1.report) } }
        if reverse { labels.reverse() }
        if console.isJSON {
            let printer = ReportPrinter(console)
            for label in labels { try printer.show(LabelReport.type, label.line) }
            return
        }
        for line in table(labels.map(\.report), console) { try console.line(line) }
    }

    private func table(_ labels: [LabelReport], _ console: Console) -> [String] {
        func title(_ label: LabelReport) -> String {
            ByteText.shown(label.name) + (label.mutable ? " [mutable]" : "")
        }
        if short { return labels.map(title) }
        func size(_ byteCount: UInt64?) -> String {
            guard let byteCount else { return "-" }
            return console.showsBytes ? String(byteCount) : HumanSize.text(byteCount)
        }
        var table = TextTable([.left, .left, .right, .right])
        table.append(["name", "time", "refers to", "only here"])
        for label in labels {
            table.append([
                title(label), label.time ?? "-", size(label.referenced), size(label.exclusive),
            ])
        }
        return table.lines()
    }
}

extension SnapshotListVerb.Order {
    fileprivate func isBefore(_ left: LabelReport, _ right: LabelReport) -> Bool {
        switch self {
        case .name: left.name < right.name
        // All times are in UTC and of the same form; labels without one come first.
        case .time: (left.time ?? "", left.generation) < (right.time ?? "", right.generation)
        case .generation: (left.generation, left.name) < (right.generation, right.name)
        case .referenced: (left.referenced ?? 0, left.name) < (right.referenced ?? 0, right.name)
        case .exclusive: (left.exclusive ?? 0, left.name) < (right.exclusive ?? 0, right.name)
        }
    }
}
