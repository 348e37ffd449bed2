import Dispatch
import GefsControl
import GefsEngine
import GefsServer
import Logging
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// An image while it is being served: from the first listener to the last commit.
final class ServedImage {
    private let image: String
    private let fileSystem: FileSystem
    private let stop: StopRequest
    private let console: Console
    private let mounts: ServedMounts

    /// - Parameter endsWithMounts: whether the one who serves ends when nothing is mounted any more.
    init(
        image: String, fileSystem: FileSystem, stop: StopRequest, console: Console,
        endsWithMounts: Bool = false
    ) {
        self.image = image
        self.fileSystem = fileSystem
        self.stop = stop
        self.console = console
        mounts = ServedMounts(fileSystem, image: image, endsWithMounts: endsWithMounts)
    }

    /// Serves until somebody asks for the end, or until `body` returns; then commits and closes.
    ///
    /// - Parameter body: what is done meanwhile, with the path of the control socket, and the mounts.
    /// - Throws: `CommandFailure` where nothing could be served, or the last changes could not be
    ///   made durable; what `body` throws.
    func run(
        _ base: ServerConfiguration,
        while body: ((_ socket: String, ServedMounts) throws -> Void)? = nil
    ) throws {
        let result = Result { try serve(base, while: body) }
        let closed = Result { try Administration.closing(fileSystem, image) }
        try result.get()
        try closed.get()
    }

    private func serve(
        _ base: ServerConfiguration, while body: ((String, ServedMounts) throws -> Void)?
    ) throws {
        let place = try ControlSocket.place(forImage: image)
        var configuration = base
        configuration.listeners.insert(.control(path: place), at: 0)
        configuration.logger = Logger(label: "gefs") { _ in ConsoleLog(console) }
        let controls = Controls(stop: stop, mounts: mounts)
        let name = realpath(image, nil).map { path -> String in
            defer { free(path) }
            return String(cString: path)
        }
        let service = ControlService(fileSystem, image: name ?? image, server: controls)
        configuration.controlHandler = ControlConsole(service)
        mounts.use(service)
        configuration.consolePath = ControlSocket.console(besideSocket: place)
        let server = NinePServer(fileSystem: fileSystem, configuration: configuration)
        controls.server.withLock { $0 = server }
        do throws(ServerError) {
            try server.start()
        } catch {
            throw failure(error)
        }
        if let body {
            defer {
                mounts.endAll()
                server.stop()
            }
            return try body(place, mounts)
        }
        announce(server, place)
        ServiceManager.notify("READY=1\nSTATUS=serving \(image)")
        stop.wait()
        ServiceManager.notify("STOPPING=1")
        console.detail("\(image): ending...")
        mounts.endAll()
        server.stop()
    }

    private func announce(_ server: NinePServer, _ place: String) {
        console.note(
            "\(image): serving\(fileSystem.isReadOnly ? " read-only" : "")")
        console.note("control socket: \(place)")
        console.note("console: \(ControlSocket.console(besideSocket: place))")
        for address in server.boundAddresses.dropFirst() { console.note("listening: \(address)") }
    }

    private func failure(_ error: ServerError) -> CommandFailure {
        switch error {
        case .addressInUse(let address):
            CommandFailure("\(address)", "in use: somebody listens there", status: .busy)
        case .noPeerCredentials, .controlNeedsUnixSocket:
            CommandFailure("serve", "\(error)", status: .usage)
        case .notASocket, .cannotListen, .system, .alreadyStarted:
            CommandFailure("serve", "\(error)")
        }
    }

    /// What the console can do with the server.
    private final class Controls: ServerControls {
        let server = Mutex<NinePServer?>(nil)
        private let stop: StopRequest
        private let mounts: ServedMounts

        init(stop: StopRequest, mounts: ServedMounts) {
            self.stop = stop
            self.mounts = mounts
        }

        var isPermissive: Bool {
            get { server.withLock { $0?.isPermissive ?? false } }
            set { server.withLock { $0?.isPermissive = newValue } }
        }

        var description: VolumeReport.Server {
            let server = server.withLock { $0 }
            return VolumeReport.Server(
                process: getpid(), version: ToolVersion.number,
                connections: server?.connectionCount ?? 0,
                listeners: server?.boundAddresses.map { "\($0)" } ?? [],
                permissive: server?.isPermissive ?? false, mounts: mounts.directories,
                endsWithMounts: mounts.endsProcess)
        }

        func mount(on directory: String, options: [String]) throws {
            try mounts.mount(on: directory, try MountWords(options, forServer: true))
        }

        func forgetVisits() -> Bool { mounts.forgetVisits() }

        func unmount(_ directory: String) -> Bool { mounts.end(directory) }

        var fids: [FidInfo] { server.withLock { $0 }?.fids() ?? [] }

        /// How long the one who asked is given to read the answer.
        private static let grace: DispatchTimeInterval = .milliseconds(100)

        func halt() {
            DispatchQueue.global().asyncAfter(deadline: .now() + Self.grace) { [stop] in
                stop.request()
            }
        }
    }
}

/// The server's log on standard error: warnings, and with -v all else.
struct ConsoleLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    init(_ console: Console) {
        logLevel = console.isVerbose ? .debug : console.isQuiet ? .error : .warning
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { $1 }
        let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
        Console.complain("gefs: \(event.level): \(ByteText.shown("\(event.message)\(details)"))")
    }
}
