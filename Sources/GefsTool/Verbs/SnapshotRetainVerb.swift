import ArgumentParser

struct SnapshotRetainVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "retain",
        abstract: "Show or set which automatic snapshots a server makes and keeps.",
        usage: "gefs snap retain IMAGE [BRANCH [SPEC ... | none | default]]",
        discussion: """
            SPEC is [COUNT]@[INTERVAL]UNIT with unit m, h or d: how many to keep, and how often. \
            '60@m 24@h @d', the default, keeps 60 of a minute, 24 of an hour, and all of a day. \
            BRANCH '-' stands for all branches that have no schedule of their own; 'default' goes \
            back to that, 'none' makes no snapshots. Snapshots are called BRANCH@UNIT.DATE_TIME, \
            in UTC; one that is renamed is kept.

            Examples:
              gefs snap retain disk.img
              gefs snap retain disk.img main 30@2m 48@h 30@d
              gefs snap retain disk.img - none
            """)

    @Argument(
        help: ArgumentHelp("The image, the branch, its schedule.", valueName: "image> <branch"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, words) = try image.split(operands)
        _ = try Administration.show(
            ["snap", "retain"] + words, on: image, for: words.count > 1 ? .writing : .reading,
            console: console)
    }
}
