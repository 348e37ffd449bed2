import ArgumentParser
import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct UnmountVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "umount", abstract: "Unmount what 'gefs mount' has mounted, and commit.",
        discussion: "Returns when everything that was written is on disk and the image is closed.")

    @Argument(help: "The directory.", completion: .directory)
    var directory: String

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let place = try LocalFile.resolved(directory)
        let source = try MountTable.source(of: place)
        if umount2(directory, 0) != 0 {
            guard errno == EPERM else {
                throw CommandFailure(
                    ByteText.shown(directory), String(cString: strerror(errno)),
                    status: errno == EBUSY ? .busy : .failed)
            }
            let status = try ChildProcess.run(["fusermount3", "-u", directory], environment: [:])
            guard status.code == 0 else { throw status }
        }
        if let source { try waitUntilSafe(source, without: place) }
    }

    /// Waits until nobody has the image of the mount open any more, or the server that goes on with it
    /// has committed.
    private func waitUntilSafe(_ image: String, without directory: String) throws {
        guard LocalFile.kind(of: image) != nil else { return }
        while true {
            try Interruption.check()
            do {
                try ImageHolder.deviceForReading(image).close()
                return
            } catch let failure as CommandFailure where failure.status == .busy {
                if let socket = ImageHolder.listening(image), goesOn(socket, without: directory) {
                    let status = try ControlClient.perform(["sync"], at: socket) { _, _ in }
                    if status != .done { throw status }
                    return
                }
                usleep(20_000)
            } catch {
                return
            }
        }
    }

    /// Whether a server does not end with this mount; one that is just ending may not answer.
    private func goesOn(_ socket: String, without directory: String) -> Bool {
        var server: VolumeReport.Server?
        _ = try? ControlClient.perform(["info"], at: socket) { type, text in
            guard type == VolumeReport.type else { return }
            server = try ReportLine.decode(VolumeReport.self, from: text).server
        }
        guard let server else { return false }
        return !server.endsWithMounts || server.mounts.contains { $0 != directory }
    }
}

/// What the kernel says is mounted.
enum MountTable {
    /// The image that is mounted on a directory, which is named from `/` on, without links.
    ///
    /// - Throws: `CommandFailure` where none of ours is.
    static func source(of path: String) throws -> String? {
        var found: String?
        for line in try lines() {
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count > 2, fields[2].elementsEqual("fuse.gefs".utf8),
                unescaped(fields[1]) == path
            else { continue }
            found = unescaped(fields[0])
        }
        guard found != nil else {
            throw CommandFailure(
                ByteText.shown(path), "no gefs is mounted there", status: .failed)
        }
        return found
    }

    private static func lines() throws -> [ArraySlice<UInt8>] {
        let table = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC)
        guard table >= 0 else { return [] }
        defer { close(table) }
        var bytes: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(table, &part, part.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += part[..<count]
        }
        return bytes.split(separator: UInt8(ascii: "\n"))
    }

    /// Spaces and the like are written as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), rest.count >= 3,
                let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8)
            {
                bytes.append(code)
                rest.removeFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return ByteText.string(bytes)
    }
}
