import ArgumentParser
import GefsControl

struct MoveVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "mv",
        abstract: "Rename and move files and directories.",
        usage: "gefs mv [-n] IMAGE SOURCE ... DESTINATION",
        discussion: """
            Renaming inside a directory is one atomic step. 9P has no move between directories, \
            so that, and a move between branches, copies the file or tree and then removes the \
            source. A file at the destination is replaced.

            Examples:
              gefs mv disk.img /notes /notes.old
              gefs mv disk.img /a /b /archive/
              gefs mv disk.img old:/lib/words /lib/words
            """)

    @Flag(name: [.customShort("n"), .long], help: "Leave files alone that exist.")
    var noClobber = false

    @Argument(
        help: ArgumentHelp(
            "The image, what to move, where to.", valueName: "image> <source> ... <destination"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        guard rest.count >= 2, let last = rest.last else {
            throw ValidationError("Missing expected arguments 'SOURCE DESTINATION'.")
        }
        let destination = TargetPath(last)
        let sources = rest.dropLast().map { TargetPath($0) }
        try ImageSession.with(image, for: .writing, options, console) { session in
            session.copiesWithin = true
            let isDirectory = try session.statusIfAny(of: destination)?.isDirectory ?? false
            if sources.count > 1 || destination.requiresDirectory, !isDirectory {
                throw CommandFailure(destination.shown, "is no directory")
            }
            for source in sources {
                guard let name = source.name else {
                    throw CommandFailure(source.shown, "the root of a branch cannot be moved")
                }
                let target = isDirectory ? destination.appending(name) : destination
                try move(source, to: target, session, console)
            }
        }
    }

    private func move(
        _ source: TargetPath, to target: TargetPath, _ session: ImageSession, _ console: Console
    ) throws {
        let entry = try session.status(of: source)
        if source.branchName == target.branchName, source.elements == target.elements { return }
        if target.isInside(source) {
            throw CommandFailure(source.shown, "cannot be moved into itself (\(target.shown))")
        }
        var replaced: TargetPath?
        if let existing = try session.statusIfAny(of: target) {
            if noClobber { return }
            guard !existing.isDirectory, !entry.isDirectory else {
                throw CommandFailure(target.shown, "exists already")
            }
            replaced = try setAside(target, session)
        }
        if source.branchName == target.branchName, source.parent.elements == target.parent.elements
        {
            try session.change(source, FileChange(name: target.name))
        } else {
            let side = ImageSide(session)
            var settings = Copier<ImageSide, ImageSide>.Options()
            settings.isRecursive = true
            let copier = Copier(side, side, settings, console)
            guard let item = try side.item(at: source, followsLinks: false) else {
                throw ImageSession.missing(source)
            }
            try copier.plan([(source, item)], to: target)
            try copier.copy(source, item, to: target)
            try session.removeTree(source, entry) { _ in }
        }
        if let replaced { try session.remove(replaced) }
        console.detail("\(source.shown) -> \(target.shown)")
    }

    /// Gives the file at the destination another name, so that it is not lost if the move fails.
    private func setAside(_ target: TargetPath, _ session: ImageSession) throws -> TargetPath {
        for number in 0..<100 {
            let name = Array(".gefs-mv-\(number)".utf8)
            let aside = target.parent.appending(name)
            if try session.statusIfAny(of: aside) == nil {
                try session.change(target, FileChange(name: name))
                return aside
            }
        }
        throw CommandFailure(target.shown, "cannot be set aside: .gefs-mv-0 to 99 exist")
    }
}
