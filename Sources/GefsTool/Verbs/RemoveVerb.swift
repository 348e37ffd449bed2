import ArgumentParser
import GefsControl

struct RemoveVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove files and directories.",
        usage: "gefs rm [-r] [-f] [--yes] [--dry-run] IMAGE TARGET ...",
        discussion: """
            Asks on a terminal; elsewhere it needs --yes (or -f). An empty directory can be \
            removed without -r. What a snapshot holds stays in the snapshot.

            Examples:
              gefs rm --yes disk.img /tmp/notes
              gefs rm -r --dry-run disk.img /usr/glenda
            """)

    @Flag(
        name: [.short, .customShort("R"), .long],
        help: "Remove directories with all that is in them.")
    var recursive = false

    @Flag(name: .shortAndLong, help: "Do not ask; what does not exist is no error.")
    var force = false

    @OptionGroup var confirmation: ConfirmationOptions

    @Argument(
        help: ArgumentHelp("The image, then what to remove.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        guard !rest.isEmpty else { throw ValidationError("Missing expected argument 'TARGET'.") }
        let targets = rest.map { TargetPath($0) }
        for target in targets where target.isRoot {
            throw CommandFailure(
                target.shown, "the root of a branch cannot be removed", status: .usage)
        }
        let use: ImageSession.Use = confirmation.dryRun ? .reading : .writing
        try ImageSession.with(image, for: use, options, console) { session in
            // Everything is looked at before anything is removed.
            var plan: [(TargetPath, FileEntry)] = []
            for target in targets {
                guard let entry = try session.statusIfAny(of: target) else {
                    if force { continue }
                    throw ImageSession.missing(target)
                }
                if entry.isDirectory, !recursive, try !session.entries(of: target).isEmpty {
                    throw CommandFailure(
                        target.shown, "directory is not empty", next: "say -r to remove all of it")
                }
                plan.append((target, entry))
            }
            guard !plan.isEmpty else { return }
            guard try isConfirmed(plan, console) else { return }
            for (target, entry) in plan { try remove(target, entry, session, console) }
        }
    }

    private func isConfirmed(
        _ plan: [(TargetPath, FileEntry)], _ console: Console
    ) throws -> Bool {
        if force, !confirmation.dryRun { return true }
        let names = plan.prefix(4).map { target, entry in
            entry.isDirectory ? "\(target.shown) and everything in it" : target.shown
        }
        let rest = plan.count > names.count ? " and \(plan.count - names.count) more" : ""
        return try confirmation.confirm(
            "remove " + names.joined(separator: ", ") + rest, verb: "rm", on: console)
    }

    private func remove(
        _ target: TargetPath, _ entry: FileEntry, _ session: ImageSession, _ console: Console
    ) throws {
        guard entry.isDirectory else {
            try session.remove(target)
            console.detail("removed \(target.shown)")
            return
        }
        let progress = ProgressLine("rm", .items("files"), on: console)
        defer { progress.finish() }
        var count: UInt64 = 0
        try session.removeTree(target, entry) { _ in
            count += 1
            progress.update(count, of: nil)
        }
        console.detail("removed \(target.shown) (\(count) files and directories)")
    }
}
