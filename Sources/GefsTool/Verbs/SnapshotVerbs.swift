import ArgumentParser

struct SnapshotVerbs: VerbGroup {
    static let configuration = CommandConfiguration(
        commandName: "snap",
        abstract: "Make, list, delete and go back to branches and snapshots.",
        discussion: """
            A label names a state of a tree. A snapshot is a label that stays as it is; a branch \
            follows writes. Both are made in the time of a commit, whatever they hold, and cost \
            what they alone hold.
            """,
        subcommands: [
            SnapshotListVerb.self, SnapshotCreateVerb.self, SnapshotForkVerb.self,
            SnapshotDeleteVerb.self, SnapshotRenameVerb.self, SnapshotRollbackVerb.self,
            SnapshotDiffVerb.self, SnapshotMergeVerb.self, SnapshotRetainVerb.self,
            SnapshotThinVerb.self,
        ])
}
