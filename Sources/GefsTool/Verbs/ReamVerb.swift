import ArgumentParser
import GefsControl
import GefsEngine
import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

struct ReamVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ream",
        abstract: "Make a file system, erasing what was there.",
        discussion: """
            Makes IMAGE with --size where it does not exist; the file is sparse. What exists \
            keeps its size, and is erased only with --force (or --yes) if it holds anything.

            Examples:
              gefs ream disk.img --size 10G
              gefs ream /dev/sdb1 --user glenda --force
            """)

    @OptionGroup var image: ImageOperand

    @Option(
        help: ArgumentHelp("Size of a new file: 512M, 10G, 1T (default 4G).", valueName: "size"))
    var size: String?

    @Option(
        help: ArgumentHelp(
            "The user in group adm, who may administer it (default: your login name).",
            valueName: "name"))
    var user: String?

    @Flag(help: "Erase what the file or disk holds.")
    var force = false

    @Option(
        help: ArgumentHelp(
            "R, which every gefs takes over, or N, for the newer tree only.", valueName: "R|N"))
    var dialect = "R"

    @Option(
        help: ArgumentHelp(
            """
            'posix': hard links, extended attributes, access control lists, names of 255 bytes; \
            9front's gefs does not read such a disk.
            """, valueName: "names"))
    var features: String?

    @Flag(help: "Reserve the space on the host now, instead of growing a sparse file.")
    var preallocate = false

    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    private static let defaultBytes: UInt64 = 4 << 30

    func perform(on console: Console) throws {
        let image = try image.resolved()
        let user = try user ?? LoginName.current()
        guard let dialect = Dialect(rawValue: dialect.uppercased()) else {
            throw ValidationError("'\(dialect)' is no dialect: R or N.")
        }
        var features: FormatFeatures = []
        for name in self.features?.split(separator: ",") ?? [] {
            guard let feature = FormatFeatures(name: String(name)) else {
                throw ValidationError("'\(name)' is no feature: posix.")
            }
            features.insert(feature)
        }
        var bytes: UInt64?
        if let size {
            guard let parsed = HumanSize.parse(size) else {
                throw ValidationError("'\(size)' is no size: 512M, 10G, 1T.")
            }
            bytes = parsed
        }
        let kind = LocalFile.kind(of: image)
        if let bytes, bytes < Ream.deviceBytesMin, kind != .device {
            throw CommandFailure(
                ByteText.shown(image), "a gefs needs \(Ream.deviceBytesMin) bytes, not \(bytes)",
                next: "say --size 129M or more", status: .usage)
        }
        guard let device = try prepare(image, kind, bytes, console) else { return }
        defer { device.close() }
        do {
            try Ream.run(
                device: device, user: user, dialect: dialect, features: features,
                owner: LoginName.owner(user))
        } catch {
            throw failure(image, error)
        }
        try console.result(
            ReamReport(
                image: image, size: device.byteCount, user: user, dialect: dialect.rawValue,
                features: features.names)
        ) {
            console.note(
                "\(ByteText.shown(image)): \(HumanSize.text(device.byteCount)), user \(user)")
        }
    }

    /// The device to erase, or nil where nothing is to be done.
    private func prepare(
        _ image: String, _ kind: LocalFile.Kind?, _ bytes: UInt64?, _ console: Console
    ) throws -> FileDevice? {
        guard kind != nil else {
            let bytes = bytes ?? Self.defaultBytes
            if confirmation.dryRun {
                try console.line("would make \(image) of \(HumanSize.text(bytes))")
                return nil
            }
            do {
                return try FileDevice.create(
                    path: image, byteCount: bytes, preallocate: preallocate)
            } catch {
                throw CommandFailure(ByteText.shown(image), error)
            }
        }
        let device = try ImageHolder.device(image, for: .writing)
        do {
            if let content = try Self.content(of: device) {
                let isConfirmed =
                    try force && !confirmation.dryRun
                    || confirmation.confirm(
                        "erase \(ByteText.shown(image)), which holds \(content)", verb: "ream",
                        on: console)
                guard isConfirmed else {
                    device.close()
                    return nil
                }
            } else if confirmation.dryRun {
                try console.line("would make a gefs in \(image)")
                device.close()
                return nil
            }
            if let bytes, bytes != device.byteCount { try resize(device, kind, bytes) }
            if device.byteCount == 0 { try resize(device, kind, Self.defaultBytes) }
            return device
        } catch let failure as DeviceError {
            device.close()
            throw CommandFailure(ByteText.shown(image), failure)
        } catch {
            device.close()
            throw error
        }
    }

    private func resize(_ device: FileDevice, _ kind: LocalFile.Kind?, _ bytes: UInt64) throws {
        guard kind == .file, bytes > device.byteCount else {
            throw CommandFailure(
                device.name,
                "is \(HumanSize.text(device.byteCount)) long, and cannot be made \(HumanSize.text(bytes))",
                next: "leave --size out to use all of it", status: .usage)
        }
        try device.extend(to: bytes, preallocate: preallocate)
    }

    /// What an existing file or disk holds, as far as its beginning and its end tell; nil where
    /// both are zeros.
    private static func content(of device: FileDevice) throws -> String? {
        let probeBytes = min(device.byteCount, 1 << 20)
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Int(probeBytes), alignment: 4096)
        defer { buffer.deallocate() }
        for offset in [0, device.byteCount - probeBytes] {
            try device.read(at: offset, into: buffer)
            if Superblock.looksLikeOne(buffer) { return "a gefs" }
            if buffer.contains(where: { $0 != 0 }) { return "data" }
        }
        return nil
    }

    private func failure(_ image: String, _ error: ReamError) -> CommandFailure {
        switch error {
        case .device(let device): CommandFailure(ByteText.shown(image), device)
        case .deviceTooSmall:
            CommandFailure(
                ByteText.shown(image), error.description, next: "say --size 129M or more")
        case .badUserName:
            CommandFailure(
                ByteText.shown(image), error.description, next: "say --user NAME", status: .usage)
        }
    }
}

/// What `ream --json` prints.
struct ReamReport: Report {
    static var type: String { "ream" }
    var image: String
    var size: UInt64
    var user: String
    var dialect: String
    var features: String
}

/// The name of who runs the tool.
enum LoginName {
    /// The host's numbers of a user; those of who runs the tool for one that it does not know.
    static func owner(_ name: String) -> HostOwner {
        guard let entry = getpwnam(name) else { return HostOwner(user: getuid(), group: getgid()) }
        return HostOwner(user: entry.pointee.pw_uid, group: entry.pointee.pw_gid)
    }

    /// - Throws: where the system does not know the user.
    static func current() throws -> String {
        if let entry = getpwuid(getuid()), let name = entry.pointee.pw_name {
            return String(cString: name)
        }
        throw CommandFailure(
            "user", "your user number \(getuid()) has no login name", next: "say --user NAME",
            status: .usage)
    }
}
