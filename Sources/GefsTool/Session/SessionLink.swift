import GefsClient
import GefsControl
import GefsEngine
import GefsServer
import Logging

/// The 9P connection under a session, and what is at its other end.
final class SessionLink {
    private enum End {
        case server(socket: String)
        /// A server in this process, on the volume that it has opened.
        case volume(FileSystem, NinePServer)
    }

    private let image: String
    private let client: Client
    private let end: End

    init(_ image: String, for use: ImageHolder.Use, console: Console) throws {
        self.image = image
        switch try ImageHolder.find(image, for: use, console: console) {
        case .server(let socket):
            do throws(ClientError) {
                client = try Client(dialing: "unix:" + socket)
            } catch {
                throw RemoteRefusal(error).failure(about: ByteText.shown(socket))
            }
            end = .server(socket: socket)
        case .volume(let fileSystem):
            do {
                let (client, server) = try Self.serve(fileSystem, image)
                self.client = client
                end = .volume(fileSystem, server)
            } catch {
                try? fileSystem.close()
                throw CommandFailure(ByteText.shown(image), "\(error)")
            }
        }
    }

    /// Starts a server on one end of a pair of sockets, and a client on the other.
    private static func serve(
        _ fileSystem: FileSystem, _ image: String
    ) throws -> (Client, NinePServer) {
        let (ours, theirs) = try UnixSocket.pair()
        var configuration = ServerConfiguration(listeners: [
            ListenerConfiguration(.descriptor(theirs), authentication: .peer)
        ])
        configuration.eventLoopThreads = 1
        configuration.controlHandler = ControlConsole(ControlService(fileSystem, image: image))
        configuration.logger = Logger(label: "gefs") { _ in SwiftLogNoOpLogHandler() }
        let server = NinePServer(fileSystem: fileSystem, configuration: configuration)
        try server.start()
        do {
            return (try Client(descriptor: ours), server)
        } catch {
            server.stop()
            throw error
        }
    }

    /// Whether another process has the image open.
    var isRemote: Bool {
        if case .server = end { return true }
        return false
    }

    /// The volume, where this process has it and it has the feature `posix`.
    var posixVolume: FileSystem? {
        guard case .volume(let fileSystem, _) = end, fileSystem.isPosix else { return nil }
        return fileSystem
    }

    /// Attaches a tree.
    ///
    /// - Throws: `RemoteRefusal`.
    func attach(user: [UInt8], tree: [UInt8], _ target: TargetPath) throws -> SessionFile {
        do throws(ClientError) {
            return SessionFile(try client.attach(user: user, tree: tree), target)
        } catch {
            throw RemoteRefusal(error)
        }
    }

    /// Bytes that can still be written; nil where the server does not tell.
    func freeBytes() throws -> UInt64? {
        switch end {
        case .volume(let fileSystem, _):
            return fileSystem.space().available
        case .server:
            var available: UInt64?
            // A listener that is no control socket has no such command.
            _ = try? ControlClient.perform(["df"], over: client) { type, line in
                if type == DiskSpaceReport.type {
                    available = try ReportLine.decode(DiskSpaceReport.self, from: line).available
                }
            }
            return available
        }
    }

    /// Why a name stands for no tree; nil where the other end does not tell.
    func refusal(of branch: [UInt8]) -> CommandFailure? {
        let name = String(decoding: branch, as: UTF8.self)
        do {
            switch end {
            case .volume(let fileSystem, _):
                _ = try ControlService(fileSystem, image: image)
                    .perform(["snap", "resolve", name]) { _ in }
            case .server:
                _ = try ControlClient.perform(["snap", "resolve", name], over: client) { _, _ in }
            }
            return nil
        } catch {
            return error as? CommandFailure
        }
    }

    /// Ends the connection; a volume of this process commits and closes.
    func close() throws {
        client.close()
        guard case .volume(let fileSystem, let server) = end else { return }
        server.stop()
        try Administration.closing(fileSystem, image)
    }
}
