import GefsEngine
import Glibc

/// Owners of the volume as the host's, and back: by name.
///
/// `root` is `adm`; whom the other side does not know is `none`, which the host calls nobody.
final class OwnerMap: @unchecked Sendable {
    private struct Names {
        var usersOfHost: [UInt32: UserID] = [:]
        var groupsOfHost: [UInt32: UserID] = [:]
        var hostUsers: [UserID: UInt32] = [:]
        var hostGroups: [UserID: UInt32] = [:]
    }

    /// The host's user and group without rights.
    static let nobody: UInt32 = 65534

    private let fileSystem: FileSystem
    private let lock = Lock()
    /// lock.
    private var names = Names()

    init(_ fileSystem: FileSystem) {
        self.fileSystem = fileSystem
    }

    /// The names may have changed.
    func forget() {
        lock.locked { names = Names() }
    }

    /// The user of the volume that a user of the host is; nil where it has none.
    func user(ofHost id: UInt32) -> UserID? {
        if let known = lock.locked({ names.usersOfHost[id] }) { return known }
        let users = fileSystem.users
        let found: UserID? =
            switch id {
            case 0: users.adm
            case Self.nobody: users.none
            default: Self.nameOfUser(id).flatMap { users.id(of: $0) }
            }
        if let found { lock.locked { names.usersOfHost[id] = found } }
        return found
    }

    /// The group of the volume that a group of the host is; nil where it has none.
    func group(ofHost id: UInt32) -> UserID? {
        if let known = lock.locked({ names.groupsOfHost[id] }) { return known }
        let users = fileSystem.users
        let found: UserID? =
            switch id {
            case 0: users.adm
            case Self.nobody: users.none
            default: Self.nameOfGroup(id).flatMap { users.id(of: $0) }
            }
        if let found { lock.locked { names.groupsOfHost[id] = found } }
        return found
    }

    /// What the host calls a user of the volume.
    func hostUser(_ user: UserID) -> UInt32 {
        if let known = lock.locked({ names.hostUsers[user] }) { return known }
        let users = fileSystem.users
        let found =
            user == users.adm
            ? 0 : users.name(of: user).flatMap { Self.user(named: $0) } ?? Self.nobody
        lock.locked { names.hostUsers[user] = found }
        return found
    }

    /// What the host calls a group of the volume.
    func hostGroup(_ group: UserID) -> UInt32 {
        if let known = lock.locked({ names.hostGroups[group] }) { return known }
        let users = fileSystem.users
        let found =
            group == users.adm
            ? 0 : users.name(of: group).flatMap { Self.group(named: $0) } ?? Self.nobody
        lock.locked { names.hostGroups[group] = found }
        return found
    }

    // MARK: The host's names

    private static let bufferBytes = 1 << 16

    private static func nameOfUser(_ id: UInt32) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bufferBytes) { buffer in
            var entry = passwd()
            var result: UnsafeMutablePointer<passwd>?
            guard let base = buffer.baseAddress else { return nil }
            let status = getpwuid_r(id, &entry, base, buffer.count, &result)
            guard status == 0, result != nil, let name = entry.pw_name else { return nil }
            return Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        }
    }

    private static func nameOfGroup(_ id: UInt32) -> [UInt8]? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bufferBytes) { buffer in
            var entry = Glibc.group()
            var result: UnsafeMutablePointer<Glibc.group>?
            guard let base = buffer.baseAddress else { return nil }
            let status = getgrgid_r(id, &entry, base, buffer.count, &result)
            guard status == 0, result != nil, let name = entry.gr_name else { return nil }
            return Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        }
    }

    private static func user(named name: [UInt8]) -> UInt32? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bufferBytes) { buffer in
            var entry = passwd()
            var result: UnsafeMutablePointer<passwd>?
            let status = (name.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
                guard let text = $0.baseAddress, let base = buffer.baseAddress else {
                    return EINVAL
                }
                return getpwnam_r(text, &entry, base, buffer.count, &result)
            }
            return status == 0 && result != nil ? entry.pw_uid : nil
        }
    }

    private static func group(named name: [UInt8]) -> UInt32? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: bufferBytes) { buffer in
            var entry = Glibc.group()
            var result: UnsafeMutablePointer<Glibc.group>?
            let status = (name.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
                guard let text = $0.baseAddress, let base = buffer.baseAddress else {
                    return EINVAL
                }
                return getgrnam_r(text, &entry, base, buffer.count, &result)
            }
            return status == 0 && result != nil ? entry.gr_gid : nil
        }
    }
}
