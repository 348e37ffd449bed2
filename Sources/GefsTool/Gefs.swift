import ArgumentParser

/// The tool's root command.
struct Gefs: VerbGroup {
    static let configuration = CommandConfiguration(
        commandName: "gefs",
        abstract: "The good enough file system: crash-safe, checksummed, with snapshots.",
        discussion: """
            The first operand of every verb is an IMAGE (a file or a disk) or the SOCKET of a \
            server; $GEFS_IMAGE stands in for it. Verbs work on an image that is being served, \
            too: they find its server through IMAGE.sock.

            A target is [BRANCH:]PATH: /usr/glenda lies in branch main, old:/usr/glenda in \
            branch old. A text has a branch only if it contains ':/'.

            Examples:
              gefs ream disk.img --size 4G              make a file system
              gefs serve disk.img --listen unix:9p.sock serve it over 9P
              gefs cp disk.img notes.txt :/             copy a file into it
              gefs ls -l disk.img /                     look at it
              gefs check disk.img                       verify all of it

            Exit status: 0 done, 1 failed, 2 usage, 3 done with findings, 4 no such image or not \
            a gefs, 5 busy, 6 corrupt, 7 no space, 8 permission, 130 interrupted.
            """,
        version: ToolVersion.text,
        groupedSubcommands: [
            CommandGroup(
                name: "File systems",
                subcommands: [
                    ReamVerb.self, ServeVerb.self, MountVerb.self, UnmountVerb.self, InfoVerb.self,
                    CheckVerb.self, ScrubVerb.self, RescueVerb.self, SpaceVerb.self, GrowVerb.self,
                    ConvertVerb.self,
                    SnapshotVerbs.self, TryVerb.self, CrashLabVerb.self,
                ]),
            CommandGroup(
                name: "Files",
                subcommands: [
                    ListVerb.self, CatVerb.self, StatVerb.self, CopyVerb.self,
                    MakeDirectoryVerb.self,
                    MoveVerb.self, RemoveVerb.self, ChangeModeVerb.self, ChangeOwnerVerb.self,
                    FindVerb.self, LogVerb.self, UndoVerb.self,
                ]),
            CommandGroup(
                name: "Administration",
                subcommands: [
                    UserVerbs.self, ControlVerb.self, DebugVerbs.self, CompletionsVerb.self,
                    VersionVerb.self,
                ]),
        ])
}

/// Which version this is.
enum ToolVersion {
    static let number = "0.1.0"
    static let text = "gefs \(number)"
}
