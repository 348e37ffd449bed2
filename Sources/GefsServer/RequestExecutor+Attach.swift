import GefsEngine
import NIOCore
import NineP

extension RequestExecutor {
    /// Answers Tattach but for "fid in use", which is the connection's. Source: SEMANTICS 2.
    func attach(
        _ message: Tattach, _ job: Job, into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        let specifier = AttachSpecifier(message.attachName, onControlSocket: isControlListener)
        let users = fileSystem.users
        let named = users.id(of: message.userName)
        let binding: FidBinding
        switch specifier.tree {
        case .control: binding = try attachControl(message, named, mayBlock: job.mayBlock)
        case .label(let label):
            let handle = try asking { () throws(FileError) in
                try attach(label, specifier, as: named, mayBlock: job.mayBlock)
            }
            do throws(RequestError) {
                binding = try bind(message, label, specifier, handle, named, job)
            } catch {
                fileSystem.close(handle)
                throw error
            }
        }
        let qid =
            switch binding.target {
            case .file(let handle): handle.qid.wire
            case .control(let file): file.qid
            }
        try reply.append(Rattach(qid: qid), tag: job.tag, limit: job.messageBytesMax)
        return .bound(binding)
    }

    /// Finds the tree; its absence comes before an unknown user.
    private func attach(
        _ label: [UInt8], _ specifier: AttachSpecifier, as named: UserID?, mayBlock: Bool
    ) throws(FileError) -> FileHandle {
        if label == AttachSpecifier.dumpLabel {
            guard let named else { throw .unknownUser }
            if specifier.isPermissive || named == fileSystem.users.none { throw .permissionDenied }
        }
        let caller = Caller(
            user: named ?? .none, isPermissive: specifier.isPermissive, mayBlock: mayBlock)
        do throws(FileError) {
            return try fileSystem.attach(label, as: caller)
        } catch {
            // Refused as nobody in particular: the reason is that the user does not exist.
            throw error == .permissionDenied && named == nil ? .unknownUser : error
        }
    }

    private func bind(
        _ message: Tattach, _ label: [UInt8], _ specifier: AttachSpecifier, _ handle: FileHandle,
        _ named: UserID?, _ job: Job
    ) throws(RequestError) -> FidBinding {
        guard var user = named else { throw .file(.unknownUser) }
        try authenticate(message, user, mayBlock: job.mayBlock)
        let users = fileSystem.users
        let serverIsPermissive = shared.isPermissive.load(ordering: .relaxed)
        if specifier.isPermissive {
            guard vouchesForEverything || serverIsPermissive || users.isMember(user, of: users.adm)
            else { throw .file(.permissionDenied) }
        }
        if serverIsPermissive, label == AttachSpecifier.adminLabel { user = users.adm }
        return FidBinding(
            target: .file(handle), user: user, isPermissive: specifier.isPermissive,
            qidType: WireQid.directoryType)
    }

    /// Whether the peer may do whatever the server's owner may.
    private var vouchesForEverything: Bool { authentication == .peer && peer.isTrusted }

    /// Checks that the peer may be that user.
    private func authenticate(
        _ message: Tattach, _ user: UserID, mayBlock: Bool
    ) throws(RequestError) {
        switch authentication {
        case .none: return
        case .peer:
            if peer.isTrusted || user == fileSystem.users.none { return }
            // The user database may be at the other end of a network.
            guard mayBlock else { throw .file(.wouldBlock) }
            guard let name = peer.passwdName(), message.userName.elementsEqual(name) else {
                throw .attachDenied
            }
        }
    }

    /// Attaches the control tree: for those who own the server or administer the file system.
    private func attachControl(
        _ message: Tattach, _ named: UserID?, mayBlock: Bool
    ) throws(RequestError) -> FidBinding {
        let users = fileSystem.users
        let user: UserID
        if vouchesForEverything {
            user = named ?? users.adm
        } else {
            guard let named else { throw .file(.unknownUser) }
            try authenticate(message, named, mayBlock: mayBlock)
            guard users.isMember(named, of: users.adm) else { throw .file(.permissionDenied) }
            user = named
        }
        return FidBinding(
            target: .control(ControlFile(.root)), user: user, isPermissive: false,
            qidType: WireQid.directoryType)
    }

    /// Answers Tauth: no method of authentication speaks over 9P itself.
    func auth(_ message: Tauth) -> RequestError {
        if authentication == .none { return .authenticationDisabled }
        let users = fileSystem.users
        return users.id(of: message.userName) == users.none
            ? .authenticationNeedless : .authenticationDisabled
    }
}
