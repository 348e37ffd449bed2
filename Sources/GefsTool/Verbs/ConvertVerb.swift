import ArgumentParser
import GefsControl
import GefsEngine
import GefsFormat

struct ConvertVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "convert",
        abstract: "Give an image the feature posix, or take it away.",
        discussion: """
            --to posix: hard links, extended attributes, access control lists and long names can be \
            made from then on; 9front's gefs does not read the image any more. All that is there \
            stays, with its owners by name. Takes no time, whatever is in it.

            --to classic: 9front's gefs reads the image again. Change times are lost, and with \
            --drop-attributes extended attributes and access control lists. It is refused, and \
            says why, as long as files have several names, names are too long, or snapshots were \
            made of what classic has no place for.

            Examples:
              gefs convert disk.img --to posix
              gefs convert disk.img --to classic --dry-run
            """)

    @OptionGroup var image: ImageOperand

    @Option(help: ArgumentHelp("What it is to be.", valueName: "posix|classic"))
    var to: Target

    enum Target: String, ExpressibleByArgument, CaseIterable {
        case posix
        case classic
    }

    @Flag(help: "Give up extended attributes and access control lists.")
    var dropAttributes = false

    @Flag(help: "Say what is in the way, and do nothing.")
    var dryRun = false

    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        if let socket = ImageHolder.listening(image) {
            throw CommandFailure(
                ByteText.shown(image), "is being served: \(ByteText.shown(socket))",
                next: "end that first: gefs halt, or gefs umount", status: .busy)
        }
        let isDone = try prepare(image, console)
        if !dryRun, isDone {
            let device = try ImageHolder.device(image, for: .writing)
            defer { device.close() }
            do {
                try FeatureConversion.run(device, features: to == .posix ? .posix : [])
            } catch {
                throw CommandFailure(ByteText.shown(image), error)
            }
        }
        try console.result(ConvertReport(image: image, to: to.rawValue, done: isDone && !dryRun)) {
            let name = ByteText.shown(image)
            if !isDone {
                console.note("\(name): is \(to.rawValue) already")
            } else {
                console.note("\(name): \(dryRun ? "can be" : "is now") \(to.rawValue)")
            }
        }
    }

    /// Makes the content fit; returns with the image closed and committed.
    ///
    /// - Returns: false where the image is what it is to be.
    private func prepare(_ image: String, _ console: Console) throws -> Bool {
        let device = try ImageHolder.device(image, for: dryRun ? .reading : .writing)
        var volumeOptions = VolumeOptions()
        volumeOptions.isReadOnly = dryRun
        let fileSystem: FileSystem
        do {
            fileSystem = try FileSystem.open(device, options: volumeOptions)
        } catch {
            device.close()
            throw CommandFailure(ByteText.shown(image), error)
        }
        let result = Result { () throws -> Bool in
            guard fileSystem.isPosix != (to == .posix) else { return false }
            do {
                if to == .posix {
                    if !dryRun { try fileSystem.prepareForPosix() }
                } else {
                    try refuse(try fileSystem.posixUses(), image)
                    if !dryRun { try fileSystem.dropPosix() }
                }
            } catch let error as FileError {
                throw CommandFailure(ByteText.shown(image), error)
            }
            return true
        }
        try Administration.closing(fileSystem, image)
        return try result.get()
    }

    private func refuse(_ uses: [PosixUse], _ image: String) throws {
        let obstacles = uses.filter { $0.isObstacle(droppingAttributes: dropAttributes) }
        guard !obstacles.isEmpty else { return }
        let texts = obstacles.prefix(10).map(text)
        let more = obstacles.count > 10 ? "; and \(obstacles.count - 10) more" : ""
        let next =
            obstacles.contains { !$0.isMutable }
            ? "snapshots cannot be changed: delete those, or leave the image as it is"
            : obstacles.allSatisfy { $0.linkedFiles + $0.names == 0 }
                ? "--drop-attributes gives them up" : "rename or remove those files"
        throw CommandFailure(
            ByteText.shown(image), "cannot become classic: \(texts.joined(separator: "; "))\(more)",
            next: next)
    }

    private func text(_ use: PosixUse) -> String {
        var parts: [String] = []
        if use.linkedFiles > 0 { parts.append("\(use.linkedFiles) files with several names") }
        if use.names > 0 { parts.append("\(use.names) names that are too long or odd") }
        if use.attributeParts > 0 { parts.append("extended attributes") }
        if !use.isMutable, use.changeTimes > 0 { parts.append("change times") }
        let examples = use.examples.map { ByteText.shown(ByteText.string($0)) }
        let some = examples.isEmpty ? "" : " (\(examples.joined(separator: ", ")))"
        let kind = use.isMutable ? "branch" : "snapshot"
        return
            "\(kind) \(ByteText.shown(ByteText.string(use.label))) has \(parts.joined(separator: ", "))\(some)"
    }
}

/// What `convert --json` prints.
struct ConvertReport: Report {
    static var type: String { "convert" }
    var image: String
    var to: String
    var done: Bool
}
