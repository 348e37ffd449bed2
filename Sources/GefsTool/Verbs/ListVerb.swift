import ArgumentParser
import GefsControl

struct ListVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List directories.",
        usage: "gefs ls [-l] [-R] [-d] [--sort KEY] [--reverse] IMAGE [TARGET ...]",
        discussion: """
            Lists the root where no target is given. A long line holds mode, owner, group, size, \
            time and name.

            Examples:
              gefs ls disk.img
              gefs ls -l disk.img /usr old:/usr
              gefs ls -R --json disk.img /sys
            """)

    enum Key: String, CaseIterable, ExpressibleByArgument {
        case name
        case size
        case time
        case none
    }

    @Flag(name: .short, help: "Show mode, owner, group, size and time.")
    var long = false

    @Flag(name: [.customShort("R"), .long], help: "List directories below, too.")
    var recursive = false

    @Flag(
        name: [.customShort("d"), .long], help: "Show directories themselves, not what is in them.")
    var directory = false

    @Option(help: "Order: name, size (largest first), time (newest first), or none.")
    var sort = Key.name

    @Flag(name: .shortAndLong, help: "Reverse the order.")
    var reverse = false

    @Argument(
        help: ArgumentHelp("The image, then what to list.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        let targets = (rest.isEmpty ? ["/"] : rest).map { TargetPath($0) }
        try ImageSession.with(image, for: .reading, options, console) { session in
            var isFirst = true
            var files: [(TargetPath, FileEntry)] = []
            var directories: [(TargetPath, FileEntry)] = []
            for target in targets {
                let entry = try session.status(of: target)
                if entry.isDirectory, !directory {
                    directories.append((target, entry))
                } else {
                    files.append((target, entry))
                }
            }
            if !files.isEmpty {
                try show(
                    files.map { Row(target: $0.0, entry: $0.1, shown: Array($0.0.shown.utf8)) },
                    console)
                isFirst = false
            }
            let hasHeadings = recursive || targets.count > 1
            for (target, _) in directories {
                try list(target, session, console, hasHeading: hasHeadings, isFirst: &isFirst)
            }
        }
    }

    private struct Row {
        var target: TargetPath
        var entry: FileEntry
        var shown: [UInt8]
    }

    private func list(
        _ target: TargetPath, _ session: ImageSession, _ console: Console, hasHeading: Bool,
        isFirst: inout Bool
    ) throws {
        // A stack of directories, not of calls: depth is the image's choice.
        var pending = [target]
        while let next = pending.popLast() {
            try Interruption.check()
            if hasHeading, !console.isJSON {
                if !isFirst { try console.line("") }
                try console.output.write(console.name(next.bytes) + Array(":\n".utf8))
            }
            isFirst = false
            var rows = try session.entries(of: next).map { entry in
                Row(
                    target: next.appending(entry.name), entry: entry,
                    shown: console.name(entry.name))
            }
            order(&rows)
            try show(rows, console)
            if recursive {
                pending += rows.reversed().filter { $0.entry.isDirectory }.map { $0.target }
            }
        }
    }

    private func order(_ rows: inout [Row]) {
        if sort != .none { rows.sort { $0.entry.name.lexicographicallyPrecedes($1.entry.name) } }
        // Sorting is stable: what is equal stays in the order of names.
        switch sort {
        case .none, .name: break
        case .size:
            rows.sort { $0.entry.size > $1.entry.size }
        case .time:
            rows.sort { $0.entry.modified > $1.entry.modified }
        }
        if reverse { rows.reverse() }
    }

    private func show(_ rows: [Row], _ console: Console) throws {
        if console.isJSON {
            for row in rows { try console.object(FileReport(row.entry, at: row.target)) }
            return
        }
        guard long else {
            for row in rows { try console.output.write(row.shown + [UInt8(ascii: "\n")]) }
            return
        }
        var table = TextTable([.left, .left, .left, .right, .left])
        for row in rows { table.append(LongListing.cells(row.entry, console)) }
        for (row, text) in zip(rows, table.lines()) {
            try console.output.write(text + "  ")
            try console.output.write(row.shown + [UInt8(ascii: "\n")])
        }
    }
}

/// What a long line shows of a file in front of its name.
enum LongListing {
    static func cells(_ entry: FileEntry, _ console: Console) -> [String] {
        [
            ModeText.letters(entry.mode), ByteText.shown(entry.owner), ByteText.shown(entry.group),
            entry.isDirectory ? "-" : console.size(entry.size),
            Timestamp.text(seconds: Int64(entry.modified)),
        ]
    }
}
