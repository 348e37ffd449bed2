import GefsFormat

/// A block of an allocation log or deadlist.
public struct ChainDump: Hashable, Sendable, Encodable, CustomStringConvertible {
    /// `log` or `deadlist`.
    public var type: String
    /// Where it lies.
    public var address: String
    /// Bytes of entries.
    public var usedBytes: Int
    /// The hash of the entries; it is that in the header, or the block would be corrupt.
    public var hash: String
    /// The next block, or `none`.
    public var next: String
    /// The entries in order; what follows one that cannot be decoded is left out.
    public var entries: [String]

    init(
        _ block: UnsafeRawBufferPointer, at address: BlockAddress, _ kind: BlockKind
    ) throws(CorruptBlock) {
        let view = try ChainBlockView(checking: block, at: address, expecting: kind)
        type = kind == .allocationLog ? "log" : "deadlist"
        self.address = address.description
        usedBytes = view.usedBytes
        hash = hexadecimal(view.hash)
        next = view.next.address.description
        entries = []
        do throws(CorruptBlock) {
            if kind == .allocationLog {
                var cursor = view.logEntries()
                while let entry = try cursor.next() { entries.append(entry.outline) }
            } else {
                for index in 0..<view.addressCount {
                    entries.append("dead \(try view.deadAddress(index))")
                }
            }
        } catch {
            entries.append("corrupt: \(error.reason)")
        }
    }

    /// A line for each entry.
    public var description: String {
        let head =
            "block \(address): \(type), \(usedBytes) bytes, hash \(hash), next \(next)"
        return ([head] + entries.map { "  " + $0 }).joined(separator: "\n")
    }
}

extension LogEntry {
    /// The entry as messages show it: `free 0x20000+0x8000`.
    var outline: String {
        switch self {
        case .allocate(let start, let byteCount):
            "allocate \(start)+\(hexadecimal(byteCount))"
        case .free(let start, let byteCount):
            "free \(start)+\(hexadecimal(byteCount))"
        case .sync(let number): "sync \(number)"
        }
    }
}
