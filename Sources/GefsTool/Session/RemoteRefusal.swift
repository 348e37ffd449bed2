import GefsClient
import GefsControl

/// What a 9P server refused, sorted by what the tool makes of it.
struct RemoteRefusal: Error {
    enum Kind {
        case notFound
        case exists
        case noPermission
        case unknownUser
        case unknownTree
        case full
        case corrupt
        case gone
        case other
    }

    let kind: Kind
    let text: String

    init(_ error: ClientError) {
        text = "\(error)"
        switch error {
        case .notFound: kind = .notFound
        case .server(let text): kind = Self.kinds[text] ?? .other
        case .connectionClosed: kind = .gone
        case .system, .malformed, .unexpectedReply, .versionRefused, .badAddress, .cannotResolve,
            .fileClosed, .tooLarge:
            kind = .other
        }
    }

    /// Source: SEMANTICS 11.
    private static let kinds: [String: Kind] = [
        "directory entry not found": .notFound,
        "create/wstat -- file exists": .exists,
        "permission denied": .noPermission,
        "wstat -- not owner": .noPermission,
        "wstat -- not owner or group leader": .noPermission,
        "wstat -- not in group": .noPermission,
        "attach -- unknown user or failed authentication": .noPermission,
        "user does not exist": .unknownUser,
        "attach -- bad specifier": .unknownTree,
        "file system full": .full,
        "block contents corrupted": .corrupt,
    ]

    /// The refusal as a failure of the tool.
    func failure(about what: String) -> CommandFailure {
        switch kind {
        case .notFound: CommandFailure(what, "no such file or directory")
        case .exists: CommandFailure(what, "exists already")
        case .noPermission: CommandFailure(what, text, status: .permission)
        case .full: CommandFailure(what, text, status: .noSpace)
        case .corrupt:
            CommandFailure(what, text, next: "run gefs check on the image", status: .corrupt)
        case .gone: CommandFailure(what, "the server went away")
        case .unknownUser, .unknownTree, .other: CommandFailure(what, text)
        }
    }
}
