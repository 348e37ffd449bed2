import GefsEngine
import Glibc

/// How owners of the volume and of the host are matched.
public enum IdentityMap: String, Sendable {
    /// By name: `root` is `adm`; whom the other side does not know is `none`, which the host calls
    /// nobody.
    case names
    /// The volume has the host's numbers. Only `adm` has none there, and shows as root.
    case numeric
}

/// Owners of the volume as the host's, and back.
final class OwnerMap: @unchecked Sendable {
    private struct Table {
        var ofHost: [UInt32: UserID] = [:]
        var host: [UserID: UInt32] = [:]
    }

    private struct Names {
        var users = Table()
        var groups = Table()
    }

    /// The host's user and group without rights.
    static let nobody: UInt32 = 65534

    private let fileSystem: FileSystem
    private let lock = Lock()
    /// lock.
    private var names = Names()

    private let map: IdentityMap

    init(_ fileSystem: FileSystem, _ map: IdentityMap) {
        self.fileSystem = fileSystem
        self.map = map
    }

    /// The user of the volume that a user of the host is; nil where it has none.
    func user(ofHost id: UInt32) -> UserID? {
        map == .numeric ? number(id) : owner(ofHost: id, \.users, Self.nameOfUser)
    }

    /// The group of the volume that a group of the host is; nil where it has none.
    func group(ofHost id: UInt32) -> UserID? {
        map == .numeric ? number(id) : owner(ofHost: id, \.groups, Self.nameOfGroup)
    }

    /// What the host calls a user of the volume.
    func hostUser(_ user: UserID) -> UInt32 {
        map == .numeric ? number(user) : host(user, \.users, Self.user(named:))
    }

    /// What the host calls a group of the volume.
    func hostGroup(_ group: UserID) -> UInt32 {
        map == .numeric ? number(group) : host(group, \.groups, Self.group(named:))
    }

    /// The users of the volume are others now.
    func forget() { lock.locked { names = Names() } }

    private func number(_ id: UInt32) -> UserID { UserID(rawValue: Int32(bitPattern: id)) }

    private func number(_ owner: UserID) -> UInt32 {
        owner == .adm ? 0 : UInt32(bitPattern: owner.rawValue)
    }

    private func owner(
        ofHost id: UInt32, _ kind: WritableKeyPath<Names, Table>, _ name: (UInt32) -> [UInt8]?
    ) -> UserID? {
        if let known = lock.locked({ names[keyPath: kind].ofHost[id] }) { return known }
        let users = fileSystem.users
        let found: UserID? =
            switch id {
            case 0: users.adm
            case Self.nobody: users.none
            default: name(id).flatMap { users.id(of: $0) }
            }
        if let found { lock.locked { names[keyPath: kind].ofHost[id] = found } }
        return found
    }

    private func host(
        _ owner: UserID, _ kind: WritableKeyPath<Names, Table>, _ number: ([UInt8]) -> UInt32?
    ) -> UInt32 {
        if let known = lock.locked({ names[keyPath: kind].host[owner] }) { return known }
        let users = fileSystem.users
        let found =
            owner == users.adm ? 0 : users.name(of: owner).flatMap { number($0) } ?? Self.nobody
        lock.locked { names[keyPath: kind].host[owner] = found }
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
