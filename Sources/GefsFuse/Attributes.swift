import CFuse3
import GefsEngine
import GefsFormat
import Glibc

extension timespec {
    init(nanoseconds: Int64) {
        var (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        if rest < 0 {
            rest += 1_000_000_000
            seconds -= 1
        }
        self.init(tv_sec: Int(seconds), tv_nsec: Int(rest))
    }

    /// Nanoseconds since 1970, as far as an entry can hold them.
    var nanoseconds: Int64 {
        let (whole, overflow) = Int64(tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return tv_sec < 0 ? .min : .max }
        return whole.addingReportingOverflow(Int64(tv_nsec)).partialValue
    }
}

extension MountSession {
    /// What `stat(2)` gives for a file of a tree.
    func attributes(_ status: PosixStatus, _ handle: FileHandle, in tree: UInt32) -> stat {
        var result = stat()
        result.st_ino = inodeNumber(status.qidPath, in: tree)
        var kind: UInt32 =
            switch PosixMode.kind(of: status.mode) {
            case .file: S_IFREG
            case .directory: S_IFDIR
            case .symbolicLink: S_IFLNK
            case .fifo: S_IFIFO
            case .socket: S_IFSOCK
            case .blockDevice: S_IFBLK
            case .characterDevice: S_IFCHR
            }
        if kind == S_IFCHR, let device = deviceNumbers(handle, status) {
            if device.isBlockDevice { kind = S_IFBLK }
            result.st_rdev = Self.deviceNumber(device)
        }
        result.st_mode = kind | PosixMode.permissions(of: status.mode)
        result.st_nlink = nlink_t(status.linkCount)
        result.st_uid = owners.hostUser(status.owner)
        result.st_gid = owners.hostGroup(status.group)
        result.st_size = off_t(status.length)
        result.st_blksize = blksize_t(Geometry.blockBytes)
        let allocated = status.allocatedBytes ?? Self.blockBytes(covering: status.length)
        result.st_blocks = blkcnt_t(allocated / 512)
        result.st_atim = timespec(nanoseconds: status.accessTime)
        result.st_mtim = timespec(nanoseconds: status.modificationTime)
        result.st_ctim = timespec(nanoseconds: status.changeTime)
        return result
    }

    /// Bytes of the blocks that so many bytes take where there is no hole.
    private static func blockBytes(covering length: UInt64) -> UInt64 {
        let block = UInt64(Geometry.blockBytes)
        return (length + block - 1) / block * block
    }

    /// What there is to be said of a file's attributes, where an answer that nobody had to look for
    /// has left something out.
    func completed(_ status: PosixStatus, _ handle: FileHandle) -> PosixStatus {
        guard status.allocatedBytes == nil else { return status }
        return (try? fileSystem.posixStatus(handle)) ?? status
    }

    /// What the kernel gets of a name; counts as one lookup of the file. Takes the handle over.
    func entry(_ handle: FileHandle, _ status: PosixStatus, in tree: UInt32) -> fuse_entry_param {
        let place = InodePlace(tree: tree, qidPath: status.qidPath)
        let inode = inodes.adopt(handle, at: place)
        var entry = fuse_entry_param()
        entry.ino = inode === root ? fuse_ino_t(FUSE_ROOT_ID) : inode.identifier
        entry.attr = attributes(completed(status, inode.handle), inode.handle, in: tree)
        entry.attr_timeout = timeout
        entry.entry_timeout = timeout
        return entry
    }

    /// The same of something that is in no tree.
    func entry(_ node: VirtualNode) throws(FileError) -> fuse_entry_param {
        let handle = try fileSystem.attach(Self.noLabel, as: caller)
        let inode =
            node == .command
            ? inodes.adopt(
                handle, at: nextConversation(), virtual: node, command: CommandStream(perform))
            : inodes.adopt(handle, at: .virtual(node), virtual: node)
        let (attributes, timeout) = attributes(node, inode)
        var entry = fuse_entry_param()
        entry.ino = inode.identifier
        entry.attr = attributes
        entry.attr_timeout = timeout
        entry.entry_timeout = timeout
        return entry
    }

    /// What `stat(2)` gives for something that is in no tree, and how long that holds.
    func attributes(_ node: VirtualNode, _ inode: Inode) -> (stat, timeout: Double) {
        guard let command = inode.command else { return (node.attributes(), timeout) }
        return (node.attributes(byteCount: command.byteCount), 0)
    }

    /// 0 is the root of `main` and never an inode's number. Files of other trees get others than
    /// those of the same name here: programs take files with the same number for the same.
    private func inodeNumber(_ qidPath: UInt64, in tree: UInt32) -> ino_t {
        guard tree == 0 else { return ino_t(UInt64(tree) << 40 &+ qidPath) }
        return ino_t(qidPath == 0 ? 1 : qidPath == 1 ? UInt64.max : qidPath)
    }

    private func deviceNumbers(_ handle: FileHandle, _ status: PosixStatus) -> DeviceNumbers? {
        let content = try? fileSystem.content(of: handle, atMost: 64, as: caller)
        return content.flatMap { DeviceNumbers(parsing: $0) }
    }

    /// As the host packs them: `makedev(3)`.
    static func deviceNumber(_ device: DeviceNumbers) -> dev_t {
        let (major, minor) = (dev_t(device.major), dev_t(device.minor))
        return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~dev_t(0xff)) << 12)
            | ((major & ~dev_t(0xfff)) << 32)
    }

    static func deviceNumbers(_ number: dev_t, isBlockDevice: Bool) -> DeviceNumbers {
        DeviceNumbers(
            isBlockDevice: isBlockDevice,
            major: UInt32(truncatingIfNeeded: ((number >> 8) & 0xfff) | ((number >> 32) & ~0xfff)),
            minor: UInt32(truncatingIfNeeded: (number & 0xff) | ((number >> 12) & ~0xff)))
    }
}
