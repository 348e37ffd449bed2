/// A key taken apart, after everything about it was checked.
///
/// Source: FORMAT 7.
public enum DecodedKey: Hashable, Sendable {
    /// The block at `offset` of the file `qid`.
    case data(qid: UInt64, offset: UInt64)
    /// The file `name` in the directory `parent`.
    case entry(parent: UInt64, name: [UInt8])
    /// The way up from the directory `qid`.
    case up(qid: UInt64)
    /// A label.
    case label([UInt8])
    /// A snapshot.
    case snapshot(Generation)
    /// A deadlist.
    case deadlist(Generation, birth: Generation)
    /// A setting.
    case config([UInt8])
    /// The file `qid`, which has several names.
    case inode(qid: UInt64)
    /// The name `name` in the directory `parent` that the file `qid` has.
    case link(qid: UInt64, parent: UInt64, name: [UInt8])
    /// A part of an extended attribute of the file `qid`.
    case attribute(qid: UInt64, name: [UInt8], part: UInt16)

    /// Takes `key` apart.
    ///
    /// - Throws: `KeyError` when it is no whole key of a known kind; a prefix is not.
    public init(_ key: UnsafeRawBufferPointer) throws(KeyError) {
        let kind = try KeyKind(checking: key)
        guard let base = key.baseAddress else { throw .empty }
        let text = UnsafeRawBufferPointer(rebasing: key[KeyEncoding.textOverheadBytes...])
        switch kind {
        case .data:
            self = .data(
                qid: base[KeyEncoding.Layout.number], offset: base[KeyEncoding.Layout.second])
        case .entry:
            guard let entry = EntryKeyView(key) else { throw .terminator }
            self = .entry(parent: entry.parent, name: Array(entry.name))
        case .up:
            self = .up(qid: base[KeyEncoding.Layout.number])
        case .label:
            self = .label(Array(text))
        case .snapshot:
            self = .snapshot(Generation(rawValue: base[KeyEncoding.Layout.number]))
        case .deadlist:
            self = .deadlist(
                Generation(rawValue: base[KeyEncoding.Layout.number]),
                birth: Generation(rawValue: base[KeyEncoding.Layout.second]))
        case .config:
            self = .config(Array(text))
        case .inode:
            self = .inode(qid: base[KeyEncoding.Layout.number])
        case .link:
            self = .link(
                qid: base[KeyEncoding.Layout.number], parent: base[KeyEncoding.Layout.second],
                name: Array(key[KeyEncoding.twoNumberBytes...]))
        case .attribute:
            guard let attribute = AttributeKeyView(key) else { throw .attribute }
            self = .attribute(
                qid: attribute.qid, name: Array(attribute.name), part: attribute.part)
        }
    }

    /// The key whose parts these are.
    public var key: Key {
        switch self {
        case .data(let qid, let offset): .data(qid, offset: offset)
        case .entry(let parent, let name): .entry(parent: parent, name: name)
        case .up(let qid): .up(qid)
        case .label(let name): .label(name)
        case .snapshot(let generation): .snapshot(generation)
        case .deadlist(let generation, let birth): .deadlist(generation, birth: birth)
        case .config(let name): .config(name)
        case .inode(let qid): .inode(qid)
        case .link(let qid, let parent, let name): .link(qid, parent: parent, name: name)
        case .attribute(let qid, let name, let part): .attribute(qid, name: name, part: part)
        }
    }
}
