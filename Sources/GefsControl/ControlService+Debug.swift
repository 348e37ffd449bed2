import GefsEngine
import GefsFormat

/// A structure of the disk, as text for people and as JSON for programs.
public struct DumpReport: Report {
    public static var type: String { "dump" }
    public var text: String
    /// One object, which is what `--json` prints.
    public var json: String
}

/// An encodable dump with a type that it does not have itself.
private struct Typed<Dump: Encodable>: Encodable {
    var type: String
    var dump: Dump

    private enum Key: String, CodingKey {
        case type
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(type, forKey: .type)
        try dump.encode(to: encoder)
    }
}

/// The command `debug`: structures of a disk, as they lie there.
///
/// On a volume that is being served the last commit is shown; what is written meanwhile may show,
/// too.
public struct DiskDump {
    private let device: any BlockDevice
    private let image: String

    public init(_ device: any BlockDevice, image: String) {
        self.device = device
        self.image = image
    }

    /// Runs a command and hands out what it shows.
    ///
    /// - Throws: `CommandFailure`, and what `reply` throws.
    public func perform(_ words: [String], reply: ControlService.Reply) throws {
        let arguments = Array(words.dropFirst())
        switch (words.first, arguments.count) {
        case ("superblock", 0):
            let superblock = try volume().superblock
            try reply(try report(superblock, "\(superblock)"))
        case ("arena", 0...1):
            let index = try arguments.first.map(number)
            let arenas = try volume().arenas.filter { index == nil || UInt64($0.index) == index }
            guard !arenas.isEmpty else { throw absent("arena") }
            for arena in arenas {
                try reply(try report(Typed(type: "arena", dump: arena), "\(arena)"))
            }
        case ("log", 0...1):
            try log(try arguments.first.map(number), reply)
        case ("block", 1):
            let block = try block(arguments[0])
            try reply(try report(block, "\(block)"))
        case ("tree", 0...2):
            try tree(arguments, reply)
        default:
            throw CommandFailure(
                "debug",
                "usage: debug superblock | arena [N] | log [N] | block ADDRESS | "
                    + "tree [LABEL [DEPTH]]", status: .usage)
        }
    }

    private func volume() throws(CommandFailure) -> VolumeDump {
        do throws(VolumeDump.Unusable) {
            return try VolumeDump(device)
        } catch {
            throw CommandFailure(
                image, error.findings.joined(separator: "; "), status: .corrupt)
        }
    }

    private func log(_ index: UInt64?, _ reply: ControlService.Reply) throws {
        let volume = try volume()
        let indices = index.map { [Int(clamping: $0)] } ?? volume.arenas.map(\.index)
        for index in indices {
            let blocks: [BlockDump]?
            do throws(DeviceError) {
                blocks = try volume.log(ofArena: index)
            } catch {
                throw CommandFailure(image, error)
            }
            guard let blocks else { throw absent("arena") }
            for block in blocks { try reply(try report(block, "arena \(index): \(block)")) }
        }
    }

    private func block(_ text: String) throws -> BlockDump {
        let address = BlockAddress(rawValue: try number(text))
        guard address.isAligned, address.rawValue < device.byteCount else {
            throw CommandFailure(
                text,
                "no block begins there: addresses are multiples of 16384, below "
                    + "\(device.byteCount)", status: .usage)
        }
        do throws(DeviceError) {
            return try BlockDump(address, on: device)
        } catch {
            throw CommandFailure(image, error)
        }
    }

    private func tree(_ arguments: [String], _ reply: ControlService.Reply) throws {
        let depth = try arguments.dropFirst().first.map(number).map { Int(clamping: $0) } ?? .max
        let volume = try volume()
        let tree: TreeDump?
        if let label = arguments.first {
            tree = volume.tree(label: Array(label.utf8), depth: depth)
        } else {
            tree = volume.snapshotTree(depth: depth)
        }
        guard let tree else { throw absent("label") }
        try reply(try report(Typed(type: "tree", dump: tree), "\(tree)"))
    }

    private func absent(_ what: String) -> CommandFailure {
        CommandFailure(image, "no such \(what)")
    }

    /// A number, in decimal or with 0x in front.
    private func number(_ text: String) throws -> UInt64 {
        let isHexadecimal = text.hasPrefix("0x")
        let value = UInt64(
            isHexadecimal ? String(text.dropFirst(2)) : text, radix: isHexadecimal ? 16 : 10)
        guard let value else { throw CommandFailure(text, "is no number", status: .usage) }
        return value
    }

    private func report(_ dump: some Encodable, _ text: String) throws -> DumpReport {
        let line = try ReportLine.encode(object: dump)
        return DumpReport(text: text, json: String(decoding: line, as: UTF8.self))
    }
}

extension ControlService {
    /// Shows structures of the disk as of the last commit.
    func debug(_ arguments: [String], _ reply: Reply) throws {
        if arguments.count == 1, Int(arguments[0]) != nil { return try debugLevel(reply) }
        try failing { () throws(FileError) in try sync() }
        try DiskDump(fileSystem.device, image: image).perform(arguments, reply: reply)
    }
}
