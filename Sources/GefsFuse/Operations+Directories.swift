import CFuse3
import GefsEngine
import Glibc
import Synchronization

/// A directory that a program has open.
///
/// An offset is the number of entries before it, `.` and `..` included: it stays good while entries
/// come and go, since the names that were given out are remembered.
final class OpenDirectory: Sendable {
    let handle: FileHandle
    let tree: UInt32
    /// What it is where it is in no tree; `names` are all its names then.
    let virtual: VirtualNode?
    /// The names that were given out, in order.
    private let names = Mutex<[[UInt8]]>([])

    init(_ handle: FileHandle, in tree: UInt32) {
        self.handle = handle
        self.tree = tree
        virtual = nil
    }

    init(_ handle: FileHandle, _ node: VirtualNode, _ all: [[UInt8]]) {
        self.handle = handle
        tree = .max
        virtual = node
        names.withLock { $0 = all }
    }

    /// The name that the entry at `position` follows; nil for the first.
    func name(before position: Int) -> [UInt8]? {
        names.withLock { position > 0 && position <= $0.count ? $0[position - 1] : nil }
    }

    func note(_ name: [UInt8], at position: Int) {
        names.withLock { names in
            if position < names.count {
                names[position] = name
            } else {
                names.append(name)
            }
        }
    }
}

/// What the kernel calls it: it is retained from `makeIdentifier` until `close`.
extension OpenDirectory {
    func makeIdentifier() -> UInt64 {
        UInt64(UInt(bitPattern: Unmanaged.passRetained(self).toOpaque()))
    }

    static func of(_ information: UnsafeMutablePointer<fuse_file_info>?) -> OpenDirectory? {
        reference(information)?.takeUnretainedValue()
    }

    /// Closes what the kernel means; it does not name it again.
    static func close(
        _ information: UnsafeMutablePointer<fuse_file_info>?, of fileSystem: FileSystem
    ) {
        guard let reference = reference(information) else { return }
        fileSystem.close(reference.takeUnretainedValue().handle)
        reference.release()
    }

    private static func reference(
        _ information: UnsafeMutablePointer<fuse_file_info>?
    ) -> Unmanaged<OpenDirectory>? {
        guard let information,
            let pointer = UnsafeRawPointer(bitPattern: UInt(information.pointee.fh))
        else { return nil }
        return Unmanaged<OpenDirectory>.fromOpaque(pointer)
    }
}

/// Listings.
///
/// The kernel would do without `opendir`, too, and cache every listing. But then nobody says which of the
/// programs that read a directory asks, nor when the last one is done: the names that offsets stand for
/// would have to be kept for ever, or `seekdir` would go wrong while names come and go.
extension MountSession {
    static func addDirectories(to operations: inout fuse_lowlevel_ops) {
        operations.opendir = { pointer, identifier, information in
            guard let request = Request(pointer), let information else { return }
            request.openDirectory(identifier, information)
        }
        operations.releasedir = { pointer, _, information in
            guard let request = Request(pointer) else { return }
            OpenDirectory.close(information, of: request.fileSystem)
            request.reply(error: 0)
        }
        operations.readdir = { pointer, _, size, offset, information in
            guard let request = Request(pointer) else { return }
            request.list(information, size, offset, isPlus: false)
        }
        operations.readdirplus = { pointer, _, size, offset, information in
            guard let request = Request(pointer) else { return }
            request.list(information, size, offset, isPlus: true)
        }
    }
}

extension Request {
    fileprivate func openDirectory(
        _ identifier: fuse_ino_t, _ information: UnsafeMutablePointer<fuse_file_info>
    ) {
        perform { () throws(FileError) -> Void in
            let inode = inode(identifier)
            if let node = inode.virtual {
                let handle = try fileSystem.attach(MountSession.noLabel, as: caller)
                let names = try node.names(fileSystem)
                information.pointee.fh = OpenDirectory(handle, node, names).makeIdentifier()
            } else {
                let handle = try fileSystem.reference(inode.handle)
                information.pointee.fh =
                    OpenDirectory(handle, in: inode.place.tree).makeIdentifier()
                information.pointee.keep_cache = 1
                information.pointee.cache_readdir = 1
            }
            if fuse_reply_open(pointer, information) != 0 {
                OpenDirectory.close(information, of: fileSystem)
            }
        }
    }

    fileprivate func list(
        _ information: UnsafeMutablePointer<fuse_file_info>?, _ size: Int, _ offset: off_t,
        isPlus: Bool
    ) {
        guard let directory = OpenDirectory.of(information), offset >= 0 else {
            return reply(error: EBADF)
        }
        perform { () throws(FileError) -> Void in
            try session.buffers.withBuffer { (buffer) throws(FileError) -> Void in
                var page = ListingPage(
                    request: self, buffer: buffer.assumingMemoryBound(to: CChar.self),
                    size: min(size, MountSession.transferBytesMax), isPlus: isPlus)
                try page.fill(directory, from: Int(offset))
                fuse_reply_buf(pointer, page.buffer, page.used)
            }
        }
    }
}

/// One answer to a listing.
private struct ListingPage {
    let request: Request
    let buffer: UnsafeMutablePointer<CChar>
    let size: Int
    let isPlus: Bool
    var used = 0

    mutating func fill(_ directory: OpenDirectory, from offset: Int) throws(FileError) {
        var position = offset
        if let node = directory.virtual { return fill(node, directory, from: offset) }
        while position < 2 {
            let status =
                try position == 0
                ? request.fileSystem.posixStatus(directory.handle)
                : request.fileSystem.parentStatus(directory.handle)
            let attributes = request.session.attributes(
                status, directory.handle, in: directory.tree)
            guard addDots(position, attributes) else { return }
            position += 1
        }
        var last = directory.name(before: position - 2)
        // An offset that was never given out: the end.
        if last == nil, position > 2 { return }
        while true {
            let wanted = max(8, min(512, (size - used) / (isPlus ? 160 : 32)))
            let entries = try request.fileSystem.entries(
                of: directory.handle, after: last, limit: wanted, as: request.caller)
            for entry in entries {
                guard try add(entry, position, directory) else { return }
                directory.note(entry.name, at: position - 2)
                last = entry.name
                position += 1
            }
            if entries.count < wanted { return }
        }
    }

    /// What is in no tree is shown by name alone: to look at all labels would use them all.
    private mutating func fill(
        _ node: VirtualNode, _ directory: OpenDirectory, from offset: Int
    ) {
        var position = offset
        while position < 2 {
            guard addDots(position, node.attributes()) else { return }
            position += 1
        }
        while let name = directory.name(before: position - 1) {
            var entry = fuse_entry_param()
            entry.attr.st_mode = node.isDirectory(name) ? S_IFDIR : S_IFREG
            // Any number but 0, which libraries skip.
            entry.attr.st_ino = .max - 0x1_0000 - ino_t(position)
            let text = name.map { CChar(bitPattern: $0) } + [0]
            let isAdded = text.withUnsafeBufferPointer { bytes in
                bytes.baseAddress.map { append($0, &entry, position) } ?? false
            }
            guard isAdded else { return }
            position += 1
        }
    }

    private mutating func addDots(_ position: Int, _ attributes: stat) -> Bool {
        var entry = fuse_entry_param()
        entry.attr = attributes
        return append(position == 0 ? "." : "..", &entry, position)
    }

    /// - Returns: false where the page is full.
    private mutating func add(
        _ entry: PosixEntry, _ position: Int, _ directory: OpenDirectory
    ) throws(FileError) -> Bool {
        let name = entry.name.map { CChar(bitPattern: $0) } + [0]
        guard isPlus else {
            var plain = fuse_entry_param()
            plain.attr = request.session.attributes(
                entry.status, directory.handle, in: directory.tree)
            return name.withUnsafeBufferPointer { bytes in
                bytes.baseAddress.map { append($0, &plain, position) } ?? false
            }
        }
        let size = name.withUnsafeBufferPointer {
            fuse_add_direntry_plus(request.pointer, nil, 0, $0.baseAddress, nil, 0)
        }
        guard size <= self.size - used else { return false }
        let found: (FileHandle, PosixStatus)
        do throws(FileError) {
            found = try request.fileSystem.lookUp(
                entry.name, in: directory.handle, as: request.caller)
        } catch .notFound {
            // It has gone since: the kernel is not told of it.
            return true
        }
        var plus = request.session.entry(found.0, found.1, in: directory.tree)
        return name.withUnsafeBufferPointer { bytes in
            bytes.baseAddress.map { append($0, &plus, position) } ?? false
        }
    }

    private mutating func append(
        _ name: UnsafePointer<CChar>, _ entry: inout fuse_entry_param, _ position: Int
    ) -> Bool {
        let next = off_t(position + 1)
        let size =
            isPlus
            ? fuse_add_direntry_plus(
                request.pointer, buffer + used, self.size - used, name, &entry, next)
            : fuse_add_direntry(
                request.pointer, buffer + used, self.size - used, name, &entry.attr, next)
        guard size <= self.size - used else { return false }
        used += size
        return true
    }
}
