import ArgumentParser
import GefsControl

struct SnapshotThinVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "thin",
        abstract: "Delete as few snapshots as free some space.",
        discussion: """
            Proposes snapshots which together free at least SIZE, and as few of them as can be \
            found: what several hold together is free only when all of them go. Branches, labels \
            in use and adm and empty are left alone.

            Examples:
              gefs snap thin disk.img --need 20G --dry-run    what would go
              gefs snap thin disk.img --need 20G --yes
            """)

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("How much is to become free, as 20G.", valueName: "size"))
    var need: String

    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        guard let bytes = HumanSize.parse(need), bytes > 0 else {
            throw ValidationError("'\(need)' is no size: say 500M or 20G.")
        }
        let image = try image.resolved()
        let printer = ReportPrinter(console)
        var proposal: DeletionReport?
        _ = try Administration.perform(["snap", "thin", "\(bytes)"], on: image, console: console) {
            type, line in
            if type == DeletionReport.type {
                proposal = try ReportLine.decode(DeletionReport.self, from: line)
            }
            try printer.show(type, line)
        }
        guard let proposal, !confirmation.dryRun else { return }
        let count = proposal.labels.count
        let plan = "delete \(count) \(count == 1 ? "snapshot" : "snapshots")"
        guard try confirmation.confirm(plan, verb: "snap", on: console) else { return }
        _ = try Administration.show(
            ["snap", "delete"] + proposal.labels.map(\.operand), on: image, for: .writing,
            console: console)
    }
}
