import GefsFormat

/// What setting an extended attribute does where there is one of that name, or none.
public enum AttributeRule: Sendable {
    case createOrReplace
    /// `.exists` where there is one.
    case create
    /// `.noAttribute` where there is none.
    case replace
}

/// Extended attributes: names and values that a host keeps with a file. Source: Docs/FORMAT.md 12.4.
extension FileSystem {
    /// Whether the disk has the feature `posix`: hard links, extended attributes, change times.
    public var isPosix: Bool { volume.isPosix }

    /// Bytes of the longest name that a file may have.
    public var nameBytesMax: Int { volume.nameBytesMax }

    /// Bytes of the longest value, as Linux has it.
    public static let attributeBytesMax = 65536

    /// The value of an attribute; nil where the file has none of that name.
    public func attribute(
        _ name: [UInt8], of handle: FileHandle, as caller: Caller
    ) throws(FileError) -> [UInt8]? {
        guard let node = handle.node else { throw .unsupported }
        switch try place(ofAttributes: node) {
        case .none: return nil
        case .memory(let values): return values[name]
        case .tree: break
        }
        var value: [UInt8]?
        try node.branch.scan(
            prefix: Key.attributePrefix(node.qidPath, name: name), after: nil,
            mayBlock: caller.mayBlock
        ) { _, part in
            value = (value ?? []) + Array(part)
            return true
        }
        // The file may have lost its name meanwhile, and its keys with it.
        if case .memory(let values) = try place(ofAttributes: node) { return values[name] }
        return value
    }

    /// The names of all attributes of a file, in the order of their bytes.
    public func attributeNames(
        of handle: FileHandle, as caller: Caller
    ) throws(FileError) -> [[UInt8]] {
        guard let node = handle.node else { throw .unsupported }
        func sorted(_ values: LooseAttributes) -> [[UInt8]] {
            values.keys.sorted { $0.lexicographicallyPrecedes($1) }
        }
        switch try place(ofAttributes: node) {
        case .none: return []
        case .memory(let values): return sorted(values)
        case .tree: break
        }
        var names: [[UInt8]] = []
        try node.branch.scan(
            prefix: Key.attributePrefix(node.qidPath), after: nil, mayBlock: caller.mayBlock
        ) { key, _ in
            if let view = AttributeKeyView(key), view.part == 0 { names.append(Array(view.name)) }
            return true
        }
        if case .memory(let values) = try place(ofAttributes: node) { return sorted(values) }
        return names
    }

    /// Sets an attribute, or removes it where there is no value.
    ///
    /// - Parameter changes: what goes with it at once: the mode that an access control list says.
    /// - Throws: `.unsupported` unless the disk has the feature `posix`; `.exists`, `.noAttribute`
    ///   by the rule; `.badName`, `.attributeTooBig`, `.readOnly`, `.volumeFull`.
    public func setAttribute(
        _ name: [UInt8], of handle: FileHandle, to value: [UInt8]?,
        _ rule: AttributeRule = .createOrReplace, changing changes: PosixChanges = PosixChanges(),
        as caller: Caller
    ) throws(FileError) -> PosixStatus {
        guard volume.isPosix, let node = handle.node, !node.isAdministrative else {
            throw .unsupported
        }
        guard !name.isEmpty, name.count <= AttributeKeyView.nameBytesMax, !name.contains(0) else {
            throw .badName
        }
        guard (value?.count ?? 0) <= Self.attributeBytesMax else { throw .attributeTooBig }
        let branch = node.branch
        return try uninterrupted { () throws(FileError) -> PosixStatus in
            try withRoom(caller) { () throws(FileError) -> PosixStatus in
                let version = branch.lock.locked { node.entry.qidVersion }
                var keys: [Key] = []
                if case .tree = try place(ofAttributes: node) {
                    keys = try branch.attributeKeys(
                        of: node.qidPath, mayBlock: caller.mayBlock)
                }
                branch.lock.lock()
                defer { branch.lock.unlock() }
                guard node.entry.qidVersion == version else { throw .interference }
                try branch.checkWritable(contentsOf: node)
                if name == Self.capability { node.hasNoCapability = false }
                if node.isRemoved {
                    try branch.setLooseAttribute(name, of: node, to: value, rule)
                } else {
                    try branch.setAttribute(
                        name, of: node, to: value, rule, present: keys, as: caller)
                }
                if let permissions = changes.permissions {
                    node.entry.setPermissions(permissions)
                    if !node.isRemoved { branch.put(node) }
                }
                return node.posixStatus
            }
        }
    }

    /// What lets a program do more than its caller may. Source: capabilities(7).
    private static let capability = Array("security.capability".utf8)

    /// Takes a program's capabilities away, as every change of its contents or owners does. Costs
    /// nothing of a file that has no attributes, and a search of others once.
    public func removeCapability(of handle: FileHandle, as caller: Caller) throws(FileError) {
        guard volume.isPosix, let node = handle.node else { return }
        let version = node.branch.lock.locked { () -> UInt32? in
            guard node.entry.posix?.hasAttributes ?? false, !node.hasNoCapability else {
                return nil
            }
            return node.entry.qidVersion
        }
        guard let version else { return }
        if try attribute(Self.capability, of: handle, as: caller) != nil {
            do throws(FileError) {
                _ = try setAttribute(Self.capability, of: handle, to: nil, as: caller)
            } catch .noAttribute {}
            return
        }
        node.branch.lock.locked {
            if node.entry.qidVersion == version { node.hasNoCapability = true }
        }
    }

    /// Where the attributes of a file are now.
    private func place(ofAttributes node: FileNode) throws(FileError) -> AttributePlace {
        try node.branch.lock.locked { () throws(FileError) -> AttributePlace in
            if node.isLost { throw .removed }
            guard node.entry.posix?.hasAttributes ?? false else { return .none }
            return node.isRemoved ? .memory(node.looseAttributes) : .tree
        }
    }
}

/// Extended attributes of a file that has no name, by theirs.
///
/// The keys go with the last name, so that a crash leaves nothing behind; whoever has the file open
/// goes on with what was in them.
typealias LooseAttributes = [[UInt8]: [UInt8]]

private enum AttributePlace {
    case none
    case tree
    case memory(LooseAttributes)
}

extension Branch {
    /// Parts that the attributes of a file have at most: 512 KiB.
    private static let attributePartsMax = 1024

    /// Keys of all parts of the attributes of a file.
    func attributeKeys(of qid: UInt64, mayBlock: Bool) throws(FileError) -> [Key] {
        var keys: [Key] = []
        try scan(prefix: Key.attributePrefix(qid), after: nil, mayBlock: mayBlock) { key, _ in
            keys.append(Key(key))
            return true
        }
        return keys
    }

    /// All attributes of a file: the keys of their parts, and what they are.
    func attributes(
        of qid: UInt64, mayBlock: Bool
    ) throws(FileError) -> (keys: [Key], values: LooseAttributes) {
        var (keys, values): ([Key], LooseAttributes) = ([], [:])
        try scan(prefix: Key.attributePrefix(qid), after: nil, mayBlock: mayBlock) { key, part in
            keys.append(Key(key))
            // Parts come in order.
            if let view = AttributeKeyView(key) {
                values[Array(view.name), default: []] += Array(part)
            }
            return true
        }
        return (keys, values)
    }

    /// The same for a file without a name. Lock held.
    fileprivate func setLooseAttribute(
        _ name: [UInt8], of node: FileNode, to value: [UInt8]?, _ rule: AttributeRule
    ) throws(FileError) {
        let old = node.looseAttributes[name]
        if rule == .create, old != nil { throw .exists }
        if rule == .replace || value == nil, old == nil { throw .noAttribute }
        var values = node.looseAttributes
        values[name] = value
        let parts = values.values.reduce(0) { $0 + Self.parts(of: $1).count }
        guard parts <= Self.attributePartsMax else { throw .attributeTooBig }
        node.looseAttributes = values
        node.entry.posix?.hasAttributes = !values.isEmpty
        node.entry.qidVersion &+= 1
        node.changeTime = volume.now()
    }

    /// Lock held; `present` are the keys of all parts that the file has now.
    fileprivate func setAttribute(
        _ name: [UInt8], of node: FileNode, to value: [UInt8]?, _ rule: AttributeRule,
        present: [Key], as caller: Caller
    ) throws(FileError) {
        let prefix = Key.attributePrefix(node.qidPath, name: name).bytes
        let old = present.filter { $0.bytes.starts(with: prefix) }
        if rule == .create, !old.isEmpty { throw .exists }
        if rule == .replace || value == nil, old.isEmpty { throw .noAttribute }
        let parts = value.map { Self.parts(of: $0) } ?? []
        let kept = present.count - old.count
        guard kept + parts.count <= Self.attributePartsMax else { throw .attributeTooBig }
        let keys = (0..<max(parts.count, old.count)).map {
            Key.attribute(node.qidPath, name: name, part: UInt16($0))
        }
        var needed = promise(forPutting: node.key, valueBytes: DirectoryEntry.posixByteCount)
        needed += promise(forAttributes: keys)
        try take(needed, as: caller, drawsOnReserve: value == nil)
        for (index, key) in keys.enumerated() {
            if index < parts.count {
                put(key, Array(parts[index]), isNew: index >= old.count)
            } else {
                removeKey(key)
            }
        }
        node.entry.posix?.hasAttributes = kept + parts.count > 0
        node.entry.qidVersion &+= 1
        node.changeTime = volume.now()
        put(node)
        tell(.file(qidPath: node.qidPath), as: caller)
    }

    /// Puts an attribute of a file that has none of that name. Lock held.
    func putAttribute(_ name: [UInt8], of qid: UInt64, _ value: [UInt8]) {
        for (index, part) in Self.parts(of: value).enumerated() {
            put(Key.attribute(qid, name: name, part: UInt16(index)), Array(part), isNew: true)
        }
    }

    /// A value as it is stored: full parts and a last one; an empty value is one empty part.
    private static func parts(of value: [UInt8]) -> [ArraySlice<UInt8>] {
        guard !value.isEmpty else { return [[]] }
        return stride(from: 0, to: value.count, by: AttributeKeyView.partBytes).map {
            value[$0..<min($0 + AttributeKeyView.partBytes, value.count)]
        }
    }
}

extension DirectoryEntry {
    /// Sets what `chmod` changes: 07777.
    mutating func setPermissions(_ permissions: UInt32) {
        mode = PosixBits.unchangeable(of: mode) | PosixMode.entryBits(permissions: permissions)
        qidType = UInt8(truncatingIfNeeded: mode >> 24)
    }

    /// Takes from a file what lets a program run as its owner, or as its group. Without the right to
    /// execute for the group that bit means something else, and stays.
    mutating func clearSetIDs() {
        let permissions = PosixMode.permissions(of: mode)
        guard !isDirectory, permissions & 0o6000 != 0 else { return }
        var cleared = permissions & ~0o4000
        if permissions & 0o010 != 0 { cleared &= ~0o2000 }
        setPermissions(cleared)
    }
}
