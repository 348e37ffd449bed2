import ArgumentParser
import CPlatform
import GefsControl
import GefsEngine
import GefsFuse
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

            Owners are the host's by name: the users file of the volume and the host's passwd tell \
            who is who; root is adm, and whom the other side does not know is none.

            OPTIONS, with commas between them: ro, allow_other, branch=BRANCH, listen=ADDR, \
            cache=SIZE, nosnapshots, and mount(8)'s nosuid, nodev, noexec, noatime, dirsync, ...

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

    @Flag(help: "Make and delete no automatic snapshots.")
    var noSnapshots = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let words = try MountWords(words)
        guard foreground || BackgroundProcess.isBehind else { return try BackgroundProcess.start() }
        let image = try image.resolved()
        guard let place = realpath(directory, nil) else {
            throw CommandFailure(
                ByteText.shown(directory), String(cString: strerror(errno)), status: .failed)
        }
        defer { free(place) }
        // Before any thread is made, since they inherit who takes signals.
        let stop = StopRequest()
        try stop.takeSignals()
        let fileSystem = try open(image, words)
        let served = ServedImage(
            image: image, fileSystem: fileSystem, stop: stop, console: console)
        var configuration = ServerConfiguration(
            listeners: try ServeVerb.listeners(listen + words.listen, policy: .peer))
        configuration.connectionsMax = 4096
        try served.run(configuration) { _ in
            let session: MountSession
            do throws(MountError) {
                session = try MountSession(
                    fileSystem, at: String(cString: place), mountOptions(image, words))
                try session.mount()
            } catch {
                throw failure(error)
            }
            _ = DetachedThread.start {
                stop.wait()
                session.unmount()
            }
            console.detail("\(image): mounted on \(directory)")
            BackgroundProcess.tellReady()
            session.run()
        }
    }

    private func open(_ image: String, _ words: MountWords) throws -> FileSystem {
        var options = VolumeOptions()
        options.isReadOnly = words.isReadOnly
        options.takesSnapshots = !noSnapshots && words.takesSnapshots
        if let cache = cache ?? words.cache {
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

    private func mountOptions(_ image: String, _ words: MountWords) -> MountOptions {
        var options = MountOptions()
        options.source = image
        options.label = ByteText.bytes(of: branch ?? words.branch ?? "main")
        options.isReadOnly = words.isReadOnly
        options.allowsOthers = words.allowsOthers || geteuid() == 0
        options.kernelOptions = words.kernel
        // What mount(8) takes for granted, and libfuse does not.
        if geteuid() == 0 {
            for word in ["suid", "dev"]
            where !words.kernel.contains(word) && !words.kernel.contains("no" + word) {
                options.kernelOptions.append(word)
            }
        }
        options.complain = { Console.complain("gefs: \($0)") }
        return options
    }

    private func failure(_ error: MountError) -> CommandFailure {
        switch error {
        case .attach(let error): CommandFailure(ByteText.shown(branch ?? "main"), error)
        case .outOfThreads: CommandFailure(ByteText.shown(directory), FileError.outOfThreads)
        case .refused, .options:
            CommandFailure(ByteText.shown(directory), "cannot be mounted on")
        }
    }
}
