import GefsEngine
import Logging
import NineP

/// One place where a server listens, and how it treats those who come.
public struct ListenerConfiguration: Hashable, Sendable {
    public var address: ListenAddress
    public var authentication: AuthenticationPolicy
    /// Whether `.ctl` can be attached here; only for unix sockets.
    public var isControl: Bool

    public init(
        _ address: ListenAddress, authentication: AuthenticationPolicy, isControl: Bool = false
    ) {
        self.address = address
        self.authentication = authentication
        self.isControl = isControl
    }

    /// The control socket: mode 0600, peer credentials, speaks 9P as well.
    public static func control(path: String) -> ListenerConfiguration {
        ListenerConfiguration(.unix(path: path), authentication: .peer, isControl: true)
    }
}

/// Everything a server can be told.
public struct ServerConfiguration: Sendable {
    public var listeners: [ListenerConfiguration]
    /// Bytes of the largest message; a client may ask for less.
    public var messageBytesMax = Self.messageBytesMaxDefault
    /// Connections served at once; more are closed at once.
    public var connectionsMax = 4096
    /// Requests of one connection that may wait or be on their way to the device.
    public var outstandingRequestsMax = 128
    /// Bytes that the frames and expected replies of those may take.
    public var outstandingBytesMax = 16 << 20
    /// Bytes that those of all connections may take together; a connection with nothing under way can
    /// have one request nevertheless.
    public var outstandingBytesTotalMax = 1 << 30
    /// Fids of one connection.
    public var fidsMax = 1 << 18
    /// Fids of all connections together; each can have `fidsAssured` nevertheless.
    public var fidsTotalMax = 1 << 20
    /// How long a client may take to begin its first session; nil: for ever.
    public var sessionPatience: Duration? = .seconds(60)
    /// Threads that wait for the device; nil chooses by the number of cores.
    public var workerThreads: Int?
    /// Event loops; nil means one per core.
    public var eventLoopThreads: Int?
    /// How long `stop` waits for clients that do not take their replies.
    public var stopPatience: Duration = .seconds(5)
    /// Anyone may use `%` attaches, and attaching `adm` makes one user adm.
    public var isPermissive = false
    public var controlHandler: (any ControlHandler)?
    /// Where the console listens: a unix socket of mode 0600 for the handler's commands.
    public var consolePath: String?
    public var logger = Logger(label: "gefs.server")
    /// Called once, on some thread, when the connection over standard input has ended.
    public var standardIOEnded: (@Sendable () -> Void)?

    /// 1 MiB of data and room for the header.
    public static let messageBytesMaxDefault = (1 << 20) + WireLimits.ioHeaderBytes
    /// A client that takes no more than this many bytes cannot be served.
    static let messageBytesMin = 256
    /// Fids that a connection can have however many others hold.
    static let fidsAssured = 64
    /// Bytes of what readers of the file `status` have begun to read, of all connections together.
    static let statusBytesMax = 16 << 20

    public init(listeners: [ListenerConfiguration]) {
        self.listeners = listeners
    }
}

/// Why a server did not start.
public enum ServerError: Error, Hashable, Sendable {
    /// Peer credentials exist on unix sockets only.
    case noPeerCredentials(ListenAddress)
    /// A control listener that is no unix socket.
    case controlNeedsUnixSocket(ListenAddress)
    /// Somebody answers at that socket.
    case addressInUse(ListenAddress)
    /// Something that is no socket lies at the path.
    case notASocket(path: String)
    case cannotListen(ListenAddress, reason: String)
    case system(call: String, errno: Int32)
    case alreadyStarted
}

extension ServerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noPeerCredentials(let address):
            "\(address): no proof of who connects; say --auth none to let anyone attach as anyone"
        case .controlNeedsUnixSocket(let address): "\(address): a control socket is a unix socket"
        case .addressInUse(let address): "\(address): somebody is listening there"
        case .notASocket(let path): "\(path): exists and is not a socket"
        case .cannotListen(let address, let reason): "\(address): \(reason)"
        case .system(let call, let errno): "\(call): error \(errno)"
        case .alreadyStarted: "the server was started before"
        }
    }
}
