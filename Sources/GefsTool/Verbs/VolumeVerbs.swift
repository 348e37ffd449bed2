import ArgumentParser
import GefsControl

struct InfoVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "info",
        abstract: "Show what an image is, and who serves it.",
        discussion: """
            Examples:
              gefs info disk.img
              gefs info --json disk.img | jq .commit
            """)

    @OptionGroup var image: ImageOperand
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        _ = try Administration.show(["info"], on: image.resolved(), console: console)
    }
}

struct SpaceVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "df",
        abstract: "Show how full an image is.",
        discussion: """
            Every arena keeps a reserve, so that a full file system can still delete. What is \
            available is what files can still be given: the reserve, promised space and what \
            commits take are left out. --explain says what holds the space: branches, snapshots \
            alone and together, what is about to become free, and the file system's own books. \
            Its lines add up to the size.

            Examples:
              gefs df disk.img
              gefs df --explain disk.img
              gefs df --bytes disk.img
            """)

    @OptionGroup var image: ImageOperand

    @Flag(help: "Say what holds the space.")
    var explain = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        _ = try Administration.show(
            ["df"] + (explain ? ["--explain"] : []), on: image.resolved(), console: console)
    }
}
