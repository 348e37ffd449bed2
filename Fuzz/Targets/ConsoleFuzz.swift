import GefsControl
import GefsEngine
import GefsServer
import Synchronization

/// Lines of the console, and lines written to the file `ctl` of dialect N: those that begin with `=`.
///
/// The first byte chooses the volume, and whether its status is asked for and it is checked afterwards.
public struct ConsoleFuzz: FuzzTarget {
    public static let name = "console"

    /// The inputs of a batch go on with each other's volume.
    private static let linesMax = 2
    private static let answerBytesMax = 32 << 20
    private let volumes: [FuzzVolume]

    public init() throws {
        volumes = [
            FuzzVolume(try BaseImages.small(.r)), FuzzVolume(try BaseImages.small(.n)),
        ]
    }

    public func settle() throws {
        for volume in volumes { try volume.close(checks: true) }
    }

    public func run(_ input: UnsafeRawBufferPointer) throws {
        var reader = InputReader(input)
        let choice = reader.byte()
        let volume = volumes[Int(choice & 1)]
        let fileSystem = try volume.open()
        let console = ControlConsole(
            ControlService(fileSystem, image: "image", server: FuzzControls()))
        for _ in 0..<Self.linesMax where !reader.isAtEnd {
            let line = String(decoding: reader.line(), as: UTF8.self)
            if line.hasPrefix("=") {
                try? console.runMessage(String(line.dropFirst()), user: .adm)
                continue
            }
            var answerBytes = 0
            console.run(line, user: .adm) { answerBytes += $0.utf8.count }
            try promise(answerBytes <= Self.answerBytesMax, "an answer without end")
        }
        if choice & 0x0e == 0 { _ = try console.status() }
        try volume.finish(checks: choice & 0xf0 == 0)
    }
}

/// A server that nobody is connected to.
final class FuzzControls: ServerControls {
    private let permissive = Atomic(false)

    var isPermissive: Bool {
        get { permissive.load(ordering: .relaxed) }
        set { permissive.store(newValue, ordering: .relaxed) }
    }

    var description: VolumeReport.Server {
        VolumeReport.Server(
            process: 1, version: "fuzz", connections: 0, listeners: [], permissive: isPermissive)
    }

    var fids: [FidInfo] { [] }

    /// The host is none of a fuzzer's business.
    func mount(on directory: String, options: [String]) throws {
        throw CommandFailure(directory, "cannot be mounted on")
    }

    func unmount(_ directory: String) -> Bool { false }

    func halt() {}
}
