import GefsClient
import GefsEngine
import Logging
import NIOCore
import NineP
import Testing

@testable import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite struct AuthenticationTests {
    typealias Wire = WireConnection

    /// Attaches as a peer of a given uid would; the error's text, nil where it may.
    private func attach(
        _ fileSystem: FileSystem, peer: UInt32?, _ user: String, _ tree: String = "",
        policy: AuthenticationPolicy = .peer, isControl: Bool = false, isPermissive: Bool = false
    ) -> String? {
        let shared = SharedServerState(isPermissive: isPermissive, controlHandler: nil)
        let executor = RequestExecutor(
            fileSystem: fileSystem, authentication: policy, peer: Peer(userID: peer),
            isControlListener: isControl, shared: shared, logger: Logger(label: "test"))
        var reply = ByteBuffer()
        let user = Array(user.utf8)
        let tree = Array(tree.utf8)
        return user.withUnsafeBytes { user in
            tree.withUnsafeBytes { tree in
                let message = Tattach(
                    fid: FidNumber(rawValue: 1), userName: user, attachName: tree)
                let job = RequestExecutor.Job(
                    tag: Tag(rawValue: 1), binding: nil, messageBytesMax: 8192, mayBlock: true)
                do throws(RequestError) {
                    let outcome = try executor.execute(.attach(message), job, into: &reply)
                    if case .bound(let binding) = outcome, let handle = binding.handle {
                        fileSystem.close(handle)
                    }
                    return nil
                } catch {
                    return ErrorText.text(of: error).description
                }
            }
        }
    }

    private static let refusal = "attach -- unknown user or failed authentication"

    @Test func `root and the server's own user may be anybody`() throws {
        let test = try TestServer()
        for peer in [0, geteuid()] {
            for user in ["glenda", "bob", "adm", "none"] {
                #expect(attach(test.fileSystem, peer: peer, user) == nil)
                #expect(attach(test.fileSystem, peer: peer, user, "%main") == nil)
            }
            #expect(attach(test.fileSystem, peer: peer, "nobody-here") == "user does not exist")
        }
    }

    @Test func `others may be themselves or none`() throws {
        // The passwd name of uid 1 is daemon where there is one; no user here is called so.
        let test = try TestServer()
        for user in ["glenda", "bob", "adm"] {
            #expect(attach(test.fileSystem, peer: 1, user) == Self.refusal)
            #expect(attach(test.fileSystem, peer: 987_654, user) == Self.refusal)
            #expect(attach(test.fileSystem, peer: nil, user) == Self.refusal)
        }
        #expect(attach(test.fileSystem, peer: 1, "none") == nil)
        #expect(attach(test.fileSystem, peer: 987_654, "none") == nil)
        #expect(attach(test.fileSystem, peer: 1, "none", "%main") == "permission denied")
        #expect(attach(test.fileSystem, peer: 1, "none", "dump") == "permission denied")
    }

    @Test func `a user's passwd name is enough to be that user`() throws {
        guard let name = Peer(userID: 1).passwdName() else { return }
        let memory = MemoryDevice(byteCount: TestServer.deviceBytes)
        try Ream.run(device: memory, user: String(decoding: name, as: UTF8.self))
        let fileSystem = try FileSystem.open(memory, options: TestServer.options)
        defer { try? fileSystem.close() }
        let user = String(decoding: name, as: UTF8.self)
        #expect(attach(fileSystem, peer: 1, user) == nil)
        // Member of adm, as the user a volume was made for is.
        #expect(attach(fileSystem, peer: 1, user, "%main") == nil)
        #expect(attach(fileSystem, peer: 1, user, ".ctl", isControl: true) == nil)
        #expect(attach(fileSystem, peer: 2, user) == Self.refusal)
        #expect(attach(fileSystem, peer: 1, "none", ".ctl", isControl: true) == "permission denied")
    }

    @Test func `the checks of an attach come in order`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        func attach(_ fid: UInt32, _ user: String, _ tree: String) throws -> String? {
            do {
                try wire.attach(fid: fid, user: user, tree: tree)
                return nil
            } catch WireFailure.refused(let text) {
                return text
            }
        }
        #expect(try attach(0, "nobody-here", "no-such-label") == "attach -- bad specifier")
        #expect(try attach(0, "nobody-here", "main") == "user does not exist")
        #expect(try attach(0, "nobody-here", "dump") == "user does not exist")
        #expect(try attach(0, "none", "dump") == "permission denied")
        #expect(try attach(0, "bob", "%main") == "permission denied")
        #expect(try attach(0, "glenda", "main") == "fid in use")
        #expect(try attach(5, "glenda", "%dump") == "permission denied")
        #expect(try attach(5, "glenda", "%main") == nil)
        #expect(try attach(6, "bob", "adm") == nil)
        #expect(try attach(7, "none", "main") == nil)
        #expect(try attach(8, "glenda", String(repeating: "l", count: 300)) != nil)
    }

    @Test func `a permissive server lets anyone use percent attaches and adm be adm`() throws {
        let test = try TestServer { $0.isPermissive = true }
        #expect(test.server.isPermissive)
        let root = try test.root("bob", "%main")
        let file = try root.walk()
        try file.create("file", permissions: 0o600)
        try file.change(RemoteChanges(user: "glenda"))
        let adm = try test.root("bob", "adm")
        let made = try adm.walk()
        try made.create("made", permissions: 0o600)
        #expect(try made.status().user == "adm")
        test.server.isPermissive = false
        #expect(throws: ClientError.server("permission denied")) { try test.root("bob", "%main") }
        #expect(throws: ClientError.server("permission denied")) {
            try test.root("bob", "adm").walk().create("other", permissions: 0o600)
        }
    }

    @Test func `no authentication protocol is spoken`() throws {
        let test = try TestServer()
        let wire = try test.wire()
        for user in ["glenda", "none"] {
            let reply = try wire.ask(
                .tAuth, Wire.le(UInt32(9)) + Wire.string(user) + Wire.string(""))
            #expect(reply.errorText == "authentication failed")
        }
        let shared = SharedServerState(isPermissive: false, controlHandler: nil)
        let executor = RequestExecutor(
            fileSystem: test.fileSystem, authentication: .peer, peer: Peer(userID: 1),
            isControlListener: false, shared: shared, logger: Logger(label: "test"))
        let empty: StaticString = ""
        func auth(_ user: StaticString) -> RequestError {
            executor.auth(
                Tauth(
                    authFid: FidNumber(rawValue: 1), userName: user.wireBytes,
                    attachName: empty.wireBytes))
        }
        #expect(auth("none") == .authenticationNeedless)
        #expect(auth("glenda") == .authenticationDisabled)
    }

    @Test func `a listener without proof of who connects must be told so`() throws {
        let test = try TestServer()
        func start(_ listener: ListenerConfiguration) throws {
            let server = NinePServer(
                fileSystem: test.fileSystem,
                configuration: ServerConfiguration(listeners: [listener]))
            defer { server.stop() }
            try server.start()
        }
        let tcp = ListenAddress.tcp(host: "127.0.0.1", port: 0)
        #expect(throws: ServerError.noPeerCredentials(tcp)) {
            try start(ListenerConfiguration(tcp, authentication: .peer))
        }
        #expect(throws: ServerError.controlNeedsUnixSocket(tcp)) {
            try start(ListenerConfiguration(tcp, authentication: .none, isControl: true))
        }
        let taken = ListenAddress.tcp(host: "127.0.0.1", port: test.port)
        #expect(throws: ServerError.addressInUse(taken)) {
            try start(ListenerConfiguration(taken, authentication: .none))
        }
        try start(ListenerConfiguration(tcp, authentication: .none))
    }

    @Test func `a connected descriptor that was passed in is served`() throws {
        var pair: [Int32] = [0, 0]
        #if os(Linux)
            #expect(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) == 0)
        #else
            #expect(socketpair(AF_UNIX, SOCK_STREAM, 0, &pair) == 0)
        #endif
        let descriptor = pair[1]
        let test = try TestServer { configuration in
            configuration.listeners.append(
                ListenerConfiguration(.descriptor(descriptor), authentication: .peer))
        }
        let root = try Client(descriptor: pair[0]).attach(user: "glenda", tree: "%main")
        #expect(try root.status().isDirectory)
        root.client.close()
        test.server.stop()
    }

    @Test func `a listening descriptor that was passed in is served`() throws {
        let directory = try TestServer.makeDirectory()
        defer { rmdir(directory) }
        let socket = try UnixSocketFile.listen(path: directory + "/passed", mode: 0o600)
        let test = try TestServer { configuration in
            configuration.listeners.append(
                ListenerConfiguration(.descriptor(socket.descriptor), authentication: .peer))
        }
        let client = try Client(dialing: "unix:\(directory)/passed")
        #expect(try client.attach(user: "bob").status().isDirectory)
        test.server.stop()
        socket.file.remove()
    }
}
