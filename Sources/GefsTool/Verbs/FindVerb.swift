import ArgumentParser
import GefsControl

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct FindVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Search trees for files.",
        usage: "gefs find [TESTS] IMAGE [TARGET ...]",
        discussion: """
            Searches the root where no target is given. A file is shown if it passes all tests.

            Examples:
              gefs find --name '*.c' disk.img /sys
              gefs find --kind file --size +10M disk.img
              gefs find --modified-after 2026-01-31T00:00:00Z --json disk.img old:/
            """)

    enum Kind: String, CaseIterable, ExpressibleByArgument {
        case file
        case directory
    }

    @Option(help: ArgumentHelp("The name fits this pattern (*, ?, [a-z]).", valueName: "glob"))
    var name: String?

    @Option(help: "It is a file, or a directory.")
    var kind: Kind?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Its size is at least +SIZE, at most -SIZE, or SIZE.", valueName: "size"))
    var size: String?

    @Option(help: ArgumentHelp("It belongs to this user.", valueName: "name"))
    var owner: String?

    @Option(help: ArgumentHelp("It belongs to this group.", valueName: "name"))
    var group: String?

    @Option(help: ArgumentHelp("It was changed at this time or later.", valueName: "time"))
    var modifiedAfter: String?

    @Option(help: ArgumentHelp("It was changed before this time.", valueName: "time"))
    var modifiedBefore: String?

    @Option(help: ArgumentHelp("Go down at most this many levels.", valueName: "levels"))
    var maxDepth: Int?

    @Flag(name: .short, help: "Show mode, owner, group, size and time.")
    var long = false

    @Flag(
        name: [.customShort("0"), .customLong("print0")], help: "End names with NUL, not newline.")
    var endsWithNull = false

    @Argument(
        help: ArgumentHelp("The image, then where to search.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        let tests = try makeTests()
        try ImageSession.with(image, for: .reading, options, console) { session in
            for text in rest.isEmpty ? ["/"] : rest {
                let target = TargetPath(text)
                try session.visit(target, maxDepth: maxDepth ?? .max) { target, entry in
                    if tests.allSatisfy({ $0(target, entry) }) {
                        try show(target, entry, console)
                    }
                }
            }
        }
    }

    private typealias Test = (TargetPath, FileEntry) -> Bool

    private func makeTests() throws -> [Test] {
        var tests: [Test] = []
        if let name {
            let pattern = GlobPattern(name)
            tests.append { target, _ in pattern.matches(target.name ?? [UInt8(ascii: "/")]) }
        }
        if let kind { tests.append { $1.isDirectory == (kind == .directory) } }
        if let size { tests.append(try Self.sizeTest(size)) }
        if let owner {
            let bytes = ByteText.bytes(of: owner)
            tests.append { $1.owner == bytes }
        }
        if let group {
            let bytes = ByteText.bytes(of: group)
            tests.append { $1.group == bytes }
        }
        if let modifiedAfter {
            let time = try Self.seconds(modifiedAfter)
            tests.append { Int64($1.modified) >= time }
        }
        if let modifiedBefore {
            let time = try Self.seconds(modifiedBefore)
            tests.append { Int64($1.modified) < time }
        }
        return tests
    }

    private static func sizeTest(_ text: String) throws -> Test {
        let sign = text.first.flatMap { "+-".contains($0) ? $0 : nil }
        guard let bytes = HumanSize.parse(String(sign == nil ? text[...] : text.dropFirst())) else {
            throw ValidationError("'\(text)' is no size: 4096, +64K, -10M.")
        }
        switch sign {
        case "+": return { !$1.isDirectory && $1.size >= bytes }
        case "-": return { !$1.isDirectory && $1.size <= bytes }
        default: return { !$1.isDirectory && $1.size == bytes }
        }
    }

    private static func seconds(_ text: String) throws -> Int64 {
        if let seconds = Int64(text) { return seconds }
        let whole = text.contains("T") ? text : text + "T00:00:00Z"
        guard let date = try? Date(whole, strategy: .iso8601) else {
            throw ValidationError(
                "'\(text)' is no time: 2026-01-31, 2026-01-31T12:00:00Z, or seconds since 1970.")
        }
        return Int64(date.timeIntervalSince1970)
    }

    private func show(_ target: TargetPath, _ entry: FileEntry, _ console: Console) throws {
        if console.isJSON {
            try console.object(FileReport(entry, at: target))
            return
        }
        if long {
            try console.output.write(
                LongListing.cells(entry, console).joined(separator: "  ") + "  ")
        }
        let name = endsWithNull ? target.bytes : console.name(target.bytes)
        try console.output.write(name + [endsWithNull ? 0 : UInt8(ascii: "\n")])
    }
}
