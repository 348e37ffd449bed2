import GefsClient
import GefsControl
import GefsEngine
import GefsServer
import NineP
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A server on a volume in memory, listening on a port of this machine.
final class TestServer: Sendable {
    static let deviceBytes: UInt64 = (128 << 20) + 16384
    /// Users besides those that a fresh volume has: bob, member of nothing.
    static let users = "-1:adm::glenda\n0:none::\n1:glenda:glenda:\n2:bob:bob:\n9999:nogroup::\n"

    let device: GateDevice
    let fileSystem: FileSystem
    let server: NinePServer
    private let directory: String

    /// Serves a fresh volume, or the one on `image`; `hasConsole` with the real commands.
    init(
        image: MemoryImage? = nil, options: VolumeOptions = TestServer.options,
        hasConsole: Bool = false,
        configure: (inout ServerConfiguration) -> Void = { _ in }
    ) throws {
        let memory: MemoryDevice
        if let image {
            memory = MemoryDevice(image)
        } else {
            memory = MemoryDevice(byteCount: Self.deviceBytes)
            try Ream.run(device: memory, user: "glenda")
        }
        device = GateDevice(memory)
        fileSystem = try FileSystem.open(device, options: options)
        if image == nil, !options.isReadOnly { try Self.addUsers(fileSystem) }
        directory = try Self.makeDirectory()
        var configuration = ServerConfiguration(listeners: [
            ListenerConfiguration(.tcp(host: "127.0.0.1", port: 0), authentication: .none),
            ListenerConfiguration(.unix(path: directory + "/peer"), authentication: .peer),
            .control(path: directory + "/control"),
        ])
        configuration.eventLoopThreads = 2
        configuration.logger.logLevel = .critical
        if hasConsole {
            configuration.controlHandler = ControlConsole(
                ControlService(fileSystem, image: "test"))
            configuration.consolePath = directory + "/console"
        }
        configure(&configuration)
        server = NinePServer(fileSystem: fileSystem, configuration: configuration)
        try server.start()
    }

    deinit {
        device.open()
        server.stop()
        try? fileSystem.close()
        rmdir(directory)
    }

    /// Commits only when asked, and keeps little in memory.
    static var options: VolumeOptions {
        var options = VolumeOptions()
        options.commitIntervalNanoseconds = nil
        options.cacheBytes = 32 << 20
        return options
    }

    var port: Int {
        guard case .tcp(_, let port) = server.boundAddresses[0] else { return 0 }
        return port
    }

    var peerPath: String { directory + "/peer" }
    var controlPath: String { directory + "/control" }
    var consolePath: String { directory + "/console" }

    /// A fresh volume of dialect N, with the test's users.
    static func imageOfDialectN() throws -> MemoryImage {
        let memory = MemoryDevice(byteCount: deviceBytes)
        try Ream.run(device: memory, user: "glenda", dialect: .n)
        let fileSystem = try FileSystem.open(memory, options: options)
        try addUsers(fileSystem)
        try fileSystem.close()
        return memory.image
    }

    func client(messageBytesMax: Int = Client.messageBytesMaxDefault) throws -> Client {
        try Client(dialing: "127.0.0.1:\(port)", messageBytesMax: messageBytesMax)
    }

    /// The root of a tree as a user, over a connection of its own.
    func root(_ user: String = "glenda", _ tree: String = "") throws -> RemoteFile {
        try client().attach(user: user, tree: tree)
    }

    /// A connection on which a session has begun and fid 0 is main's root.
    func wire(messageBytesMax: UInt32 = 65536, user: String = "glenda") throws -> WireConnection {
        let wire = try WireConnection(port: port)
        try wire.begin(messageBytesMax: messageBytesMax)
        try wire.attach(fid: 0, user: user)
        return wire
    }

    /// What is on the device after a commit, as if the server had stopped now.
    func committedImage() throws -> MemoryImage {
        try fileSystem.sync(as: Caller(user: .adm))
        return device.image
    }

    private static func addUsers(_ fileSystem: FileSystem) throws {
        let caller = Caller(user: .adm, isPermissive: true)
        let root = try fileSystem.attach(Array("adm".utf8), as: caller)
        defer { fileSystem.close(root) }
        let file = try Array("users".utf8).withUnsafeBytes { name in
            try fileSystem.walk(from: root, name, as: caller)
        }
        defer { fileSystem.close(file) }
        try fileSystem.open(file, OpenMode(.write, truncates: true), as: caller)
        _ = try Array(users.utf8).withUnsafeBytes { bytes in
            try fileSystem.write(file, at: 0, from: bytes, as: caller)
        }
        try fileSystem.reloadUsers()
    }

    static func makeDirectory() throws -> String {
        var template = Array("/tmp/gefs-server-tests.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw WireFailure.system(errno) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A device in memory whose reads can be held up.
final class GateDevice: BlockDevice {
    private struct State {
        var isShut = false
        var waitingCount = 0
        var readCount = 0
    }

    private let below: MemoryDevice
    private let state = TestCondition(State())

    init(_ below: MemoryDevice) {
        self.below = below
    }

    var byteCount: UInt64 { below.byteCount }
    var isReadOnly: Bool { below.isReadOnly }
    var name: String { below.name }
    var image: MemoryImage { below.image }

    /// Reads that begin from now on wait.
    func shut() {
        state.change { $0.isShut = true }
    }

    /// Lets all reads go on.
    func open() {
        state.change { $0.isShut = false }
    }

    /// Returns when so many reads wait.
    func awaitWaiting(_ count: Int = 1) {
        state.wait { $0.waitingCount >= count }
    }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        state.change { $0.waitingCount += 1 }
        state.wait { !$0.isShut }
        state.change { $0.waitingCount -= 1 }
        try below.read(at: offset, into: buffers)
    }

    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError) {
        try below.write(at: offset, from: buffers)
    }

    func flush() throws(DeviceError) { try below.flush() }
    func close() { below.close() }
}

/// A value, and threads that wait until it is as they want it.
final class TestCondition<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var value: Value

    init(_ value: Value) {
        self.value = value
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    @discardableResult
    func change<R>(_ body: (inout Value) -> R) -> R {
        pthread_mutex_lock(mutex)
        defer {
            pthread_cond_broadcast(condition)
            pthread_mutex_unlock(mutex)
        }
        return body(&value)
    }

    func wait(_ isAsWanted: (Value) -> Bool) {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while !isAsWanted(value) { pthread_cond_wait(condition, mutex) }
    }
}

/// Runs `body` on so many threads of their own and waits for all of them.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    final class Start: Sendable {
        let index: Int
        let body: @Sendable (Int) -> Void

        init(_ index: Int, _ body: @escaping @Sendable (Int) -> Void) {
            self.index = index
            self.body = body
        }
    }
    #if canImport(Glibc)
        typealias Thread = pthread_t
    #else
        typealias Thread = pthread_t?
    #endif
    var threads: [Thread] = []
    for index in 0..<count {
        #if canImport(Glibc)
            var thread = pthread_t()
        #else
            var thread: pthread_t?
        #endif
        let start = Unmanaged.passRetained(Start(index, body)).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { pointer in
                let start = Unmanaged<Start>.fromOpaque(pointer!).takeRetainedValue()
                start.body(start.index)
                return nil
            }, start)
        if status == 0 { threads.append(thread) }
    }
    for thread in threads {
        #if canImport(Glibc)
            pthread_join(thread, nil)
        #else
            if let thread { pthread_join(thread, nil) }
        #endif
    }
}
