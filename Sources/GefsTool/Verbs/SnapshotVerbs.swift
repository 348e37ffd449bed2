import ArgumentParser

struct SnapshotVerbs: VerbGroup {
    static let configuration = CommandConfiguration(
        commandName: "snap",
        abstract: "Look at branches and snapshots.",
        discussion: """
            This version reads snapshots, and makes and deletes none.
            """,
        subcommands: [SnapshotListVerb.self])
}
