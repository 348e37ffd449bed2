import ArgumentParser
import GefsControl

struct CopyVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "cp",
        abstract: "Copy files into an image, out of it, or within it.",
        usage: "gefs cp [-r] [-n] [-L] IMAGE SOURCE ... DESTINATION",
        discussion: """
            As with scp, the far side is marked: [BRANCH]:/PATH lies in the image (:/PATH in \
            branch main), everything else is a path on this machine, and - is standard input or \
            output. A local name that contains ':/' is written with ./ in front.

            Modes and times are kept, and between branches owners, too. Holes stay holes. Hard \
            links within what is copied, and extended attributes (those of users: user.*), are \
            kept where both sides have them and no server holds the image. With -r a directory is copied into a DESTINATION that exists, or as DESTINATION. What \
            does not fit is refused before anything is copied.

            Examples:
              gefs cp disk.img notes.txt :/usr/glenda/        in
              gefs cp -r disk.img src/ main:/sys/src          in, a tree
              gefs cp disk.img :/lib/words :/lib/unicode .    out
              gefs cp -r disk.img old:/sys :/sys.old          between branches
              tar cf - src | gefs cp disk.img - :/src.tar     from a pipe
            """)

    @Flag(
        name: [.short, .customShort("R"), .long], help: "Copy directories with all that is in them."
    )
    var recursive = false

    @Flag(name: [.customShort("n"), .long], help: "Leave files alone that exist.")
    var noClobber = false

    @Flag(name: [.customShort("L"), .long], help: "Copy what local symbolic links point to.")
    var dereference = false

    @Flag(help: "Say what would be copied, and copy nothing.")
    var dryRun = false

    @Argument(
        help: ArgumentHelp(
            "The image, what to copy, where to.", valueName: "image> <source> ... <destination"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        guard rest.count >= 2, let last = rest.last else {
            throw ValidationError("Missing expected arguments 'SOURCE DESTINATION'.")
        }
        let sources = rest.dropLast().map { CopyOperand($0) }
        let local = sources.compactMap { if case .local(let path) = $0 { path } else { nil } }
        let remote = sources.compactMap { if case .image(let target) = $0 { target } else { nil } }
        guard local.isEmpty || remote.isEmpty else {
            throw ValidationError("Sources lie on both sides; copy them with two commands.")
        }
        let destination = CopyOperand(last)
        switch destination {
        case .image(let target):
            let use: ImageSession.Use = dryRun ? .reading : .writing
            try ImageSession.with(image, for: use, options, console) { session in
                let side = ImageSide(session)
                if remote.isEmpty {
                    try copy(LocalSide(), local, to: side, target, console)
                } else {
                    session.copiesWithin = true
                    try refuseCycles(remote, target)
                    try copy(side, remote, to: side, target, console)
                }
            }
        case .local(let path):
            guard local.isEmpty else {
                throw ValidationError(
                    "Nothing here lies in the image: write ':/PATH' or 'BRANCH:/PATH' for what does."
                )
            }
            try ImageSession.with(image, for: .reading, options, console) { session in
                try copy(ImageSide(session), remote, to: LocalSide(), path, console)
            }
        }
    }

    private func refuseCycles(_ sources: [TargetPath], _ destination: TargetPath) throws {
        for source in sources where destination.isInside(source) {
            throw CommandFailure(
                source.shown, "cannot be copied to itself or into itself (\(destination.shown))")
        }
    }

    private func copy<Source: CopySide, Target: CopySide>(
        _ source: Source, _ places: [Source.Place], to target: Target,
        _ destination: Target.Place, _ console: Console
    ) throws where Source.Place: CopyPlace, Target.Place: CopyPlace {
        let items = try places.map { place in
            guard let item = try source.item(at: place, followsLinks: true) else {
                throw CommandFailure(source.shown(place), "no such file or directory")
            }
            return (place, item)
        }
        let existing = try target.item(at: destination, followsLinks: true)
        let isDirectory = existing?.isDirectory ?? false
        if places.count > 1 || destination.isMeantAsDirectory, !isDirectory {
            throw CommandFailure(target.shown(destination), "is no directory")
        }
        var settings = Copier<Source, Target>.Options()
        settings.isRecursive = recursive
        settings.followsLinks = dereference
        settings.keepsExisting = noClobber
        let copier = Copier(source, target, settings, console)
        if !destination.isStream { try copier.plan(items, to: destination) }
        for (place, item) in items {
            let final = isDirectory ? place.copyName.map { target.child($0, of: destination) } : nil
            if dryRun {
                try console.line(
                    "would copy \(source.shown(place)) to \(target.shown(final ?? destination))")
                continue
            }
            try copier.copy(place, item, to: final ?? destination)
        }
        console.detail("\(copier.filesCopied) files, \(HumanSize.text(copier.copiedBytes))")
        if console.isJSON, !destination.isStream {
            try console.object(
                CopyReport(
                    files: copier.filesCopied, bytes: copier.copiedBytes,
                    leftOut: copier.skipped, dryRun: dryRun))
        }
        if copier.skipped > 0 {
            throw CommandFailure("cp", "\(copier.skipped) files could not be copied")
        }
    }
}

/// What `cp --json` prints when it is done.
struct CopyReport: Report {
    static var type: String { "copy" }
    var files: UInt64
    var bytes: UInt64
    /// Files that the other side cannot hold.
    var leftOut: UInt64
    var dryRun: Bool
}

/// A place that an operand of `cp` names.
protocol CopyPlace {
    /// The name that a copy in a directory gets; nil where all that is inside is copied itself.
    var copyName: [UInt8]? { get }
    var isMeantAsDirectory: Bool { get }
    var isStream: Bool { get }
}

extension TargetPath: CopyPlace {
    var copyName: [UInt8]? { name }
    var isMeantAsDirectory: Bool { requiresDirectory }
    var isStream: Bool { false }
}

extension [UInt8]: CopyPlace {
    var copyName: [UInt8]? { isStream ? nil : LocalPath.name(self) }
    var isMeantAsDirectory: Bool { last == UInt8(ascii: "/") }
    var isStream: Bool { self == LocalSide.standardStream }
}
