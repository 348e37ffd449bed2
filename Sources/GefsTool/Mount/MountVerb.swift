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

struct MountVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "mount", abstract: "Mount a branch of an image on a directory.",
        usage: "gefs mount IMAGE DIR [-f] [-o OPTIONS] [--branch BRANCH] [--listen ADDR ...]",
        discussion: """
            Returns when the directory can be used; -f stays until it is unmounted, by 'gefs umount \
            DIR', fusermount3 -u or SIGTERM, all of which commit. The process serves the image, too: \
            other verbs, and 9P clients of --listen, work on it meanwhile, and all see the same.

            BRANCH can be a moment, which is mounted read-only: main@2026-11-22T10:00, main@-15m, \
            main@LABEL.

            In every mount there is a directory .gefs that listings do not show: .gefs/snapshots has \
            the snapshots, .gefs/at any moment that you name (.gefs/at/-15m), and commands of the \
            console are written to .gefs/ctl, from which the same descriptor reads their answers.

            idmap=names, usual: owners are the host's by name: the users file of the volume and the \
            host's passwd tell who is who; root is adm, and whom the other side does not know is \
            none. idmap=numeric, usual on a volume made with --features posix: the host's numbers \
            are stored as they are.

            Where the kernel speaks FUSE over io_uring (6.14 and newer), small requests take half the time. \
            It has to be on for that (fuse.enable_uring=1); root has it on while it mounts.

            OPTIONS, with commas between them: ro, allow_other, branch=BRANCH, all, noctl, \
            idmap=names|numeric, listen=ADDR, cache=SIZE, nosnapshots, noio_uring, and mount(8)'s nosuid, nodev, noexec, noatime, dirsync, ...

            Examples:
              gefs mount disk.img /mnt
              gefs mount disk.img /mnt/then --branch main@yesterday
              gefs umount /mnt
            """)

    @OptionGroup var image: ImageOperand

    @Argument(help: "The directory.", completion: .directory)
    var directory: String

    @Option(
        name: [.customShort("o")],
        help: ArgumentHelp("Options with commas between them.", valueName: "options"))
    var words: [String] = []

    @Option(help: "The branch, or a moment of one.")
    var branch: String?

    @Option(help: ArgumentHelp("Listen for 9P here, too.", valueName: "addr"))
    var listen: [String] = []

    @Option(help: ArgumentHelp("Memory for the block cache: 512M, 2G, 25%.", valueName: "size"))
    var cache: String?

    @Flag(name: .short, help: "Stay in the foreground.")
    var foreground = false

    @Flag(help: "Show all branches and snapshots, each as a directory.")
    var all = false

    @Flag(help: "Leave out the hidden directory .gefs.")
    var noCtl = false

    @Flag(help: "Mount with idmap=numeric also where 9P clients would see none for everybody.")
    var force = false

    @Flag(help: "Make and delete no automatic snapshots.")
    var noSnapshots = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        var words = try MountWords(words)
        if let branch { words.branch = branch }
        words.listen += listen
        if noSnapshots { words.takesSnapshots = false }
        if force { words.isForced = true }
        if all { words.showsAllLabels = true }
        if noCtl { words.showsControl = false }
        if let cache { words.cache = cache }
        let image = try image.resolved()
        let directory = try LocalFile.resolved(directory)
        if let other = try? MountTable.source(of: directory) {
            throw CommandFailure(
                ByteText.shown(directory), "\(ByteText.shown(other)) is mounted there",
                next: "gefs umount ends that", status: .busy)
        }
        let isSocket = LocalFile.kind(of: image) == .socket
        if let socket = isSocket ? image : ImageHolder.listening(image) {
            return try handOver(directory, words, to: socket, console)
        }
        guard foreground || BackgroundProcess.isBehind else { return try BackgroundProcess.start() }
        // Before any thread is made, since they inherit who takes signals.
        let stop = StopRequest()
        try stop.takeSignals()
        let fileSystem: FileSystem
        do {
            fileSystem = try open(image, words)
        } catch let failure as CommandFailure where failure.status == .busy {
            guard let socket = ImageHolder.listening(image) else { throw failure }
            return try handOver(directory, words, to: socket, console)
        }
        let served = ServedImage(
            image: image, fileSystem: fileSystem, stop: stop, console: console,
            endsWithMounts: true)
        var configuration = ServerConfiguration(
            listeners: try ServeVerb.listeners(words.listen, policy: .peer))
        configuration.connectionsMax = 4096
        try served.run(configuration) { _, mounts in
            try mounts.mount(on: directory, words)
            _ = DetachedThread.start {
                stop.wait()
                mounts.endAll()
            }
            console.detail("\(image): mounted on \(directory)")
            BackgroundProcess.tellReady()
            mounts.waitUntilNone()
        }
    }

    /// Lets the process that holds the image mount it.
    private func handOver(
        _ directory: String, _ words: MountWords, to socket: String, _ console: Console
    ) throws {
        try words.checkForServer()
        var request = ["mount", directory]
        for word in self.words { request += ["-o", word] }
        if let branch { request += ["-o", "branch=\(branch)"] }
        for (isSet, word) in [(force, "force"), (all, "all"), (noCtl, "noctl")] where isSet {
            request += ["-o", word]
        }
        _ = try ControlClient.perform(request, at: socket) { _, _ in }
        console.detail("\(socket): mounted on \(directory)")
    }

    private func open(_ image: String, _ words: MountWords) throws -> FileSystem {
        var options = VolumeOptions()
        options.isReadOnly = words.isReadOnly
        options.takesSnapshots = words.takesSnapshots
        if let cache = words.cache {
            guard let bytes = CacheLimit.parse(cache) else {
                throw CommandFailure(
                    "mount", "'\(cache)' is no size: 512M, 2G, 25%", status: .usage)
            }
            options.cacheBytes = bytes
        } else {
            options.cacheBytes = CacheLimit.standard
        }
        options.log = { Console.complain("gefs: \(image): \($0)") }
        cplatform_keep_large_buffers()
        let device = try ImageHolder.device(image, for: words.isReadOnly ? .reading : .writing)
        do {
            return try FileSystem.open(device, options: options)
        } catch {
            device.close()
            throw CommandFailure(ByteText.shown(image), error)
        }
    }
}
