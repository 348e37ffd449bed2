import GefsFormat

/// A tree as messages name it.
public enum TreeName: Hashable, Sendable {
    /// The tree of labels, snapshots and deadlists.
    case snapshots
    /// The files of one snapshot, with the labels that name it.
    case files(Generation, labels: [Key])
}

extension TreeName: CustomStringConvertible {
    /// `snapshot tree`, or `snapshot 27 [main, nightly]`.
    public var description: String {
        switch self {
        case .snapshots: return "snapshot tree"
        case .files(let generation, let labels):
            let shown = labels.prefix(3).map { printable($0.bytes.dropFirst()) }
            let more = labels.count > shown.count ? ", …" : ""
            let names = shown.isEmpty ? "no label" : shown.joined(separator: ", ") + more
            return "snapshot \(generation) [\(names)]"
        }
    }
}

/// A deadlist as messages name it.
public enum DeadlistName: Hashable, Sendable {
    /// Blocks born in `birth` that snapshot `generation` does not hold but its predecessor does.
    case list(Generation, birth: Generation)
    /// The blocks that the superblock hands over to be freed after the next commit.
    case pending
}

extension DeadlistName: CustomStringConvertible {
    /// `deadlist (27, 12)`, or `pending list`.
    public var description: String {
        switch self {
        case .list(let generation, let birth): "deadlist (\(generation), \(birth))"
        case .pending: "pending list"
        }
    }
}

/// What a block is used for, by whom.
public enum BlockUse: Hashable, Sendable {
    /// A node of a tree.
    case node(BlockPointer)
    /// The contents of the file `qid` at `offset`.
    case data(BlockPointer, qid: UInt64, offset: UInt64)
    /// A block of a deadlist.
    case deadlist(DeadlistName)
    /// A block of an arena's allocation log.
    case allocationLog(arena: Int)
}

extension BlockUse: CustomStringConvertible {
    /// `data of file 1234 at 0x8000`.
    public var description: String {
        switch self {
        case .node: "tree node"
        case .data(_, let qid, let offset): "data of file \(qid) at \(hexadecimal(offset))"
        case .deadlist(let name): name.description
        case .allocationLog(let arena): "log of arena \(arena)"
        }
    }
}

/// Bytes of a name as text; what is no printable UTF-8 is escaped as `\xff`.
func printable(_ bytes: some Collection<UInt8>) -> String {
    let bytes = Array(bytes)
    if let text = String(validating: bytes, as: UTF8.self),
        text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7f })
    {
        return text
    }
    return bytes.map { byte in
        if byte >= 0x20, byte < 0x7f { return String(UnicodeScalar(byte)) }
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count < 2 ? "0" : "") + digits
    }.joined()
}

extension Key {
    /// The key as messages show it: `entry "name" in 1234`.
    var outline: String {
        let decoded = withBytes { bytes in try? DecodedKey(bytes) }
        guard let decoded else {
            let digits = bytes.prefix(32).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            return "invalid key " + digits.joined() + (bytes.count > 32 ? "…" : "")
        }
        switch decoded {
        case .data(let qid, let offset): return "data \(qid) at \(hexadecimal(offset))"
        case .entry(let parent, let name):
            let place = parent == .max ? "the root" : "in \(parent)"
            return "entry \"\(printable(name))\" \(place)"
        case .up(let qid): return "up \(qid)"
        case .label(let name): return "label \"\(printable(name))\""
        case .snapshot(let generation): return "snapshot \(generation)"
        case .deadlist(let generation, let birth): return "deadlist (\(generation), \(birth))"
        case .config(let name): return "config \"\(printable(name))\""
        case .inode(let qid): return "inode \(qid)"
        case .link(let qid, let parent, let name):
            return "link \"\(printable(name))\" in \(parent) of \(qid)"
        case .attribute(let qid, let name, let part):
            return "attribute \"\(printable(name))\" part \(part) of \(qid)"
        }
    }
}
