import ArgumentParser
import CPlatform
import GefsControl
import GefsEngine
import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct TryVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "try",
        abstract: "Run a command on a fork of a branch, then keep, apply or discard the fork.",
        usage: "gefs try IMAGE [--branch NAME] [--keep NAME|--apply|--discard|--ask] -- COMMAND",
        discussion: """
            The command runs in the fork, which is mounted on a directory of its own ($GEFS_DIR). \
            With --no-mount, and where nothing can be mounted, it runs where it was called. It \
            finds a 9P socket in $GEFS_SOCKET and the fork's attach name in $GEFS_ATTACH. \
            $GEFS_IMAGE and $GEFS_BRANCH are set, so that in the command all verbs of gefs work \
            on the fork. An image that nobody serves is served meanwhile.

            Afterwards the changes are listed, as by gefs snap diff. --apply merges them into the \
            branch, as gefs snap merge does, if the command succeeded and nothing conflicts; else \
            the fork is kept. Without a choice a person is asked; where there is no terminal the \
            fork is kept.

            Exit status: the command's; 3 where the fork was not applied because of conflicts.

            Examples:
              gefs try disk.img -- sh
              gefs try disk.img --apply -- make -C src install
              gefs try disk.img --discard -- ./test-upgrade
              gefs try disk.img --no-mount -- gefs cp -r ./build :/sys
            """)

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("The branch to fork.", valueName: "name"))
    var branch = "main"

    @Option(help: ArgumentHelp("Keep the fork as a branch of that name.", valueName: "name"))
    var keep: String?

    @Flag(help: "Merge the fork into the branch and delete it.")
    var apply = false

    @Flag(help: "Delete the fork.")
    var discard = false

    @Flag(help: "Ask what is to become of the fork (the default on a terminal).")
    var ask = false

    @Flag(help: "Do not mount the fork.")
    var noMount = false

    @Argument(parsing: .postTerminator, help: "The command and its arguments.")
    var command: [String] = []

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("Missing expected '-- COMMAND'.") }
        guard [keep != nil, apply, discard, ask].count(where: { $0 }) <= 1 else {
            throw ValidationError("--keep, --apply, --discard and --ask exclude each other.")
        }
    }

    private static var hasPerson: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    }

    func perform(on console: Console) throws {
        if ask, !Self.hasPerson {
            throw CommandFailure("try", "--ask: nobody can be asked", status: .usage)
        }
        let image = try image.resolved()
        switch try ImageHolder.find(image, for: .writing, console: console) {
        case .server(let socket):
            try run(image, socket, console)
        case .volume(let fileSystem):
            cplatform_keep_large_buffers()
            let served = ServedImage(
                image: image, fileSystem: fileSystem, stop: StopRequest(), console: console)
            try served.run(ServerConfiguration(listeners: [])) { socket, _ in
                try run(image, socket, console)
            }
        }
    }

    private func run(_ image: String, _ socket: String, _ console: Console) throws {
        let trial = Trial(
            image: image, socket: socket, branch: branch, fork: keep ?? forkName,
            console: console)
        try trial.begin()
        let status: CommandStatus
        do {
            status = try trial.run(command, mounts: !noMount)
        } catch {
            try? trial.discard()
            throw error
        }
        let hasChanges = try trial.showChanges()
        try console.output.flush()
        let ending = try trial.end(try choice(status, hasChanges: hasChanges, trial))
        if status.code != 0 { throw status }
        if ending != .done { throw ending }
    }

    private func choice(
        _ status: CommandStatus, hasChanges: Bool, _ trial: Trial
    ) throws -> Trial.Choice {
        if discard { return .discard }
        if keep != nil { return .keep }
        // There is nothing that anyone could want of it.
        if !hasChanges { return .discard }
        if apply {
            if status.code == 0 { return .apply }
            trial.console.note("the command failed with status \(status.code); nothing is applied")
            return .keep
        }
        guard Self.hasPerson else { return .keep }
        return try trial.ask() ?? .keep
    }

    /// A name that no other trial has, and that is short enough for any branch.
    private var forkName: String {
        "try-\(branch.prefix(24))-\(time(nil))-\(getpid())"
    }
}
