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
        guard try hasAttributes(node) else { return nil }
        var value: [UInt8]?
        try node.branch.scan(
            prefix: Key.attributePrefix(node.qidPath, name: name), after: nil,
            mayBlock: caller.mayBlock
        ) { _, part in
            value = (value ?? []) + Array(part)
            return true
        }
        return value
    }

    /// The names of all attributes of a file, in the order of their bytes.
    public func attributeNames(
        of handle: FileHandle, as caller: Caller
    ) throws(FileError) -> [[UInt8]] {
        guard let node = handle.node else { throw .unsupported }
        guard try hasAttributes(node) else { return [] }
        var names: [[UInt8]] = []
        try node.branch.scan(
            prefix: Key.attributePrefix(node.qidPath), after: nil, mayBlock: caller.mayBlock
        ) { key, _ in
            if let view = AttributeKeyView(key), view.part == 0 { names.append(Array(view.name)) }
            return true
        }
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
                let keys =
                    try hasAttributes(node)
                    ? try branch.attributeKeys(of: node.qidPath, mayBlock: caller.mayBlock) : []
                branch.lock.lock()
                defer { branch.lock.unlock() }
                guard node.entry.qidVersion == version else { throw .interference }
                try branch.checkWritable(node)
                try branch.setAttribute(
                    name, of: node, to: value, rule, present: keys, as: caller)
                if let permissions = changes.permissions {
                    node.entry.setPermissions(permissions)
                    branch.put(node)
                }
                return node.posixStatus
            }
        }
    }

    private func hasAttributes(_ node: FileNode) throws(FileError) -> Bool {
        try node.branch.lock.locked { () throws(FileError) -> Bool in
            if node.isLost { throw .removed }
            return node.entry.posix?.hasAttributes ?? false
        }
    }
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
        for (index, key) in keys.enumerated() {
            needed += promise(
                forPutting: key, valueBytes: index < parts.count ? parts[index].count : 0)
        }
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
}
