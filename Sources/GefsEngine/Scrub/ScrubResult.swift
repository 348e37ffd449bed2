import GefsFormat

/// What a scrub found wrong with one block.
public struct ScrubFinding: Hashable, Sendable {
    /// The block, in bytes from the start of the device.
    public var address: UInt64
    /// What it holds, and what is wrong with it, for people.
    public var message: String
    /// `label/path` of files that cannot be read wholly, or not found, because of it.
    public var files: [String]
    /// Whether more files are hit than are listed.
    public var hasMoreFiles: Bool
}

/// What a scrub came to.
public struct ScrubResult: Hashable, Sendable {
    /// Nanoseconds since 1970.
    public var started: Int64
    /// Nanoseconds since 1970.
    public var ended: Int64
    /// Blocks that were read and verified, damaged ones included.
    public var blocks: UInt64
    /// Whether everything was looked at: it was not cancelled.
    public var isComplete: Bool
    /// Damaged blocks; more than `findings` lists where there are very many.
    public var findingCount: Int
    /// The first of them.
    public var findings: [ScrubFinding]

    /// What was read, in bytes.
    public var byteCount: UInt64 { blocks * UInt64(Geometry.blockBytes) }
}

/// How a scrub is going, and what the last one came to.
public struct ScrubState: Hashable, Sendable {
    /// A scrub is under way, or waits for its turn.
    public var isRunning = false
    public var isPaused = false
    /// Bytes read so far.
    public var bytesDone: UInt64 = 0
    /// Bytes to be read; an estimate.
    public var bytesTotal: UInt64 = 0
    /// Damaged blocks so far.
    public var findingCount = 0
    /// Bytes a second at most.
    public var rate: UInt64 = 0
    /// The last scrub that ended.
    public var last: ScrubResult?
}

/// The result as it is kept on the disk: configuration values of ours in the snapshot tree, which
/// the original ignores.
enum ScrubRecord {
    static let key = Key.config("gefs.scrub".utf8)
    private static let findingPrefix = Array("gefs.scrub.".utf8)
    /// Findings that are kept.
    static let findingsMax = 16

    static func findingKey(_ index: Int) -> Key {
        Key.config(findingPrefix + Array((index < 10 ? "0" : "").utf8) + Array("\(index)".utf8))
    }

    static func value(_ result: ScrubResult) -> [UInt8] {
        Array(
            "\(result.started) \(result.ended) \(result.blocks) \(result.isComplete ? 1 : 0) \(result.findingCount)"
                .utf8)
    }

    /// Address, message and the first files, a line each, as much as fits a value.
    static func value(_ finding: ScrubFinding) -> [UInt8] {
        var bytes = Array("\(finding.address)\n\(finding.message)".utf8.prefix(300))
        var isCut = finding.hasMoreFiles
        for file in finding.files {
            let line = [UInt8(ascii: "\n")] + Array(file.utf8)
            // A line of its own says that there are more.
            guard bytes.count + line.count + 2 <= Geometry.valueBytesMax,
                !file.utf8.contains(UInt8(ascii: "\n"))
            else {
                isCut = true
                break
            }
            bytes += line
        }
        return isCut ? bytes + [UInt8(ascii: "\n")] : bytes
    }

    static func result(_ value: [UInt8], findings: [[UInt8]]) -> ScrubResult? {
        let words = String(decoding: value, as: UTF8.self).split(separator: " ")
        guard words.count == 5, let started = Int64(words[0]), let ended = Int64(words[1]),
            let blocks = UInt64(words[2]), blocks <= UInt64.max / UInt64(Geometry.blockBytes),
            let count = Int(words[4])
        else { return nil }
        return ScrubResult(
            started: started, ended: ended, blocks: blocks, isComplete: words[3] == "1",
            findingCount: count, findings: findings.compactMap(finding))
    }

    private static func finding(_ value: [UInt8]) -> ScrubFinding? {
        var lines = String(decoding: value, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false
        ).map(String.init)
        guard lines.count >= 2, let address = UInt64(lines[0]) else { return nil }
        let isCut = lines.last == ""
        if isCut { lines.removeLast() }
        return ScrubFinding(
            address: address, message: lines[1], files: Array(lines.dropFirst(2)),
            hasMoreFiles: isCut)
    }
}
