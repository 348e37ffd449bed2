import GefsControl
import GefsEngine

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Who has an image open: a server that can be asked, or this process.
enum ImageHolder {
    /// The path of a socket that somebody listens on.
    case server(String)
    case volume(FileSystem)

    enum Use {
        case reading
        case writing
    }

    /// How long a server that has just taken the lock is given to listen.
    private static let patience: Duration = .seconds(1)

    /// Finds the server of an image, or opens the image.
    ///
    /// The lock on the image decides: whoever gets it opens the image, and whoever does not asks
    /// the one who has it. A socket that a dead server left is never looked at.
    static func find(_ image: String, for use: Use, console: Console) throws -> ImageHolder {
        if LocalFile.kind(of: image) == .socket { return .server(image) }
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                return .volume(try open(image, for: use, console: console))
            } catch let failure as CommandFailure where failure.status == .busy {
                if let socket = listening(image) { return .server(socket) }
                guard ContinuousClock.now < deadline else { throw busy(image) }
                try Interruption.check()
                usleep(50_000)
            }
        }
    }

    /// What to say of an image that somebody holds who does not answer.
    static func busy(_ image: String) -> CommandFailure {
        CommandFailure(
            ByteText.shown(image), "busy: another process has it open, and no server answers",
            next: "wait until it is done, or stop it", status: .busy)
    }

    /// The control socket that answers, if one does.
    static func listening(_ image: String) -> String? {
        ControlSocket.candidates(forImage: image).first { path in
            guard let descriptor = try? UnixSocket.connect(to: path) else { return false }
            close(descriptor)
            return true
        }
    }

    /// Opens the device of an image, and locks it; waits a moment for verbs that look at it.
    static func device(_ image: String, for use: Use) throws -> FileDevice {
        let deadline = ContinuousClock.now + patience
        while true {
            do {
                return try deviceAtOnce(image, for: use)
            } catch let failure as CommandFailure where failure.status == .busy {
                guard ContinuousClock.now < deadline, listening(image) == nil else { throw failure }
                try Interruption.check()
                usleep(50_000)
            }
        }
    }

    /// The device, for a moment and without waiting.
    static func deviceForReading(_ image: String) throws -> FileDevice {
        try deviceAtOnce(image, for: .reading)
    }

    private static func deviceAtOnce(_ image: String, for use: Use) throws -> FileDevice {
        do {
            return try FileDevice(path: image, access: use == .reading ? .readOnly : .readWrite)
        } catch {
            throw CommandFailure(ByteText.shown(image), error)
        }
    }

    private static func open(
        _ image: String, for use: Use, console: Console
    ) throws -> FileSystem {
        let device = try deviceAtOnce(image, for: use)
        var options = VolumeOptions()
        options.isReadOnly = use == .reading
        options.log = { Console.complain("gefs: \(image): \($0)") }
        do {
            let fileSystem = try FileSystem.open(device, options: options)
            for note in fileSystem.openNotes { console.detail(note) }
            return fileSystem
        } catch {
            device.close()
            throw CommandFailure(ByteText.shown(image), error)
        }
    }
}
