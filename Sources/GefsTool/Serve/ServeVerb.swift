import ArgumentParser
import CPlatform
import GefsControl
import GefsEngine
import GefsServer

struct ServeVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve an image over 9P.",
        discussion: """
            Always listens on the control socket IMAGE.sock, through which other verbs work. \
            --listen adds ADDR: 127.0.0.1:5640, [::1]:5640, unix:/run/gefs.sock, stdio, or a dial \
            string of Plan 9 (tcp!host!port, unix!path). Sockets can be passed in (LISTEN_FDS), \
            and readiness is told to $NOTIFY_SOCKET.

            On unix sockets the kernel says who connects. TCP has no such proof: it needs --auth \
            none, and then anyone who can connect may attach as anyone.

            Branches that somebody attaches to get automatic snapshots, by the schedules that             'gefs snap retain' shows and sets.

            Examples:
              gefs serve disk.img --listen unix:/tmp/gefs.9p
              gefs serve disk.img --listen 127.0.0.1:5640 --auth none
              gefs serve disk.img --read-only --cache 1G
            """)

    enum Authentication: String, CaseIterable, ExpressibleByArgument {
        case peer
        case none
    }

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("Listen here, too; say it again for more.", valueName: "addr"))
    var listen: [String] = []

    @Option(help: "Who may attach as whom on the added listeners: as the kernel says, or anybody.")
    var auth = Authentication.peer

    @Flag(help: "Write nothing to the image.")
    var readOnly = false

    @Option(
        help: ArgumentHelp(
            "Memory for the block cache: 512M, 2G, 25% (default: a quarter, at most 4G).",
            valueName: "size"))
    var cache: String?

    @Flag(help: "Make and delete no automatic snapshots.")
    var noSnapshots = false

    @Flag(help: "Let anyone attach without permission checks; bear with a broken users file.")
    var permissive = false

    @Option(help: ArgumentHelp("Largest message, in bytes.", valueName: "bytes"))
    var msize = ServerConfiguration.messageBytesMaxDefault

    @Option(help: ArgumentHelp("Connections at once.", valueName: "n"))
    var maxConnections = 4096

    @Option(
        help: ArgumentHelp("Seconds between commits while there are changes.", valueName: "seconds")
    )
    var commitInterval = 5.0

    @Option(
        help: ArgumentHelp(
            "Verify all blocks again and again: so long after the last time, as 12h, 7d, 1w.",
            valueName: "interval"))
    var scrub: String?

    @Flag(help: "Serve one connection on standard input and output, and end with it.")
    var stdio = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func validate() throws {
        guard (256...(64 << 20)).contains(msize) else {
            throw ValidationError("--msize is from 256 to 67108864.")
        }
        guard (1...1_000_000).contains(maxConnections) else {
            throw ValidationError("--max-connections is from 1 to 1000000.")
        }
        guard (0.01...86400).contains(commitInterval) else {
            throw ValidationError("--commit-interval is from 0.01 to 86400 seconds.")
        }
        if let scrub, ScrubInterval.seconds(scrub) == nil {
            throw ValidationError("'\(scrub)' is no interval: 12h, 7d, 1w.")
        }
        if let cache, CacheLimit.parse(cache) == nil {
            throw ValidationError("'\(cache)' is no size: 512M, 2G, 25%.")
        }
    }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        let listeners = try makeListeners()
        // Before any thread is made, since they inherit who takes signals.
        let stop = StopRequest()
        try stop.takeSignals()
        let fileSystem = try open(image, console)
        let served = ServedImage(
            image: image, fileSystem: fileSystem, stop: stop, console: console)
        try served.run(configuration(listeners, stop))
    }

    private func makeListeners() throws -> [ListenerConfiguration] {
        let policy: AuthenticationPolicy = auth == .none ? .none : .peer
        var texts = listen
        if stdio, !texts.contains("stdio") { texts.append("stdio") }
        return try Self.listeners(texts, policy: policy)
            + PassedDescriptors.fromEnvironment().map {
                ListenerConfiguration($0, authentication: policy)
            }
    }

    /// Listeners on the addresses that somebody has named.
    static func listeners(
        _ texts: [String], policy: AuthenticationPolicy
    ) throws -> [ListenerConfiguration] {
        var listeners: [ListenerConfiguration] = []
        for text in texts {
            let address: ListenAddress
            do {
                address = try ListenAddress(text)
            } catch {
                throw CommandFailure("serve", "--listen \(error)", status: .usage)
            }
            if case .tcp = address, policy == .peer {
                throw CommandFailure(
                    "serve", "\(address): TCP does not say who connects",
                    next: "say --auth none to let anyone attach as anyone, or use a unix socket",
                    status: .usage)
            }
            listeners.append(ListenerConfiguration(address, authentication: policy))
        }
        return listeners
    }

    private func open(_ image: String, _ console: Console) throws -> FileSystem {
        if LocalFile.kind(of: image) == .socket {
            throw CommandFailure(
                ByteText.shown(image), "is a socket; serve takes the image", status: .usage)
        }
        let device: FileDevice
        do {
            device = try ImageHolder.device(image, for: readOnly ? .reading : .writing)
        } catch let failure as CommandFailure where failure.status == .busy {
            var failure = failure
            failure.next = "gefs info tells who serves it, if a server does"
            throw failure
        }
        var options = VolumeOptions()
        options.isReadOnly = readOnly
        options.isPermissive = permissive
        options.takesSnapshots = !noSnapshots
        options.cacheBytes = cache.flatMap { CacheLimit.parse($0) } ?? CacheLimit.standard
        options.commitIntervalNanoseconds = Int64(commitInterval * 1e9)
        options.log = { Console.complain("gefs: \(image): \($0)") }
        do {
            cplatform_keep_large_buffers()
            let fileSystem = try FileSystem.open(device, options: options)
            if let seconds = scrub.flatMap({ ScrubInterval.seconds($0) }) {
                try fileSystem.scheduleScrubs(every: seconds * 1_000_000_000)
            }
            for note in fileSystem.openNotes { console.note("\(image): \(note)") }
            return fileSystem
        } catch {
            device.close()
            throw CommandFailure(ByteText.shown(image), error)
        }
    }

    private func configuration(
        _ listeners: [ListenerConfiguration], _ stop: StopRequest
    ) -> ServerConfiguration {
        var configuration = ServerConfiguration(listeners: listeners)
        configuration.messageBytesMax = msize
        configuration.connectionsMax = maxConnections
        configuration.isPermissive = permissive
        // A session on standard input is the whole purpose of such a server.
        configuration.standardIOEnded = { stop.request() }
        return configuration
    }
}
