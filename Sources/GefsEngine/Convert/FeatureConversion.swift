import GefsFormat

/// Gives a disk features or takes them away. A namespace.
public enum FeatureConversion {
    /// Writes both superblocks anew, with other features; nothing else on the disk changes.
    ///
    /// The disk is not open, and its last commit is complete: both superblocks say the same. A crash
    /// leaves it with the old features or with the new ones.
    /// - Throws: `.corrupt` or `.device` where there is no usable superblock, or it cannot be written.
    public static func run(
        _ device: any BlockDevice, features: FormatFeatures
    ) throws(FileError) {
        let pair = SuperblockPair(reading: device)
        var superblock: Superblock
        do throws(ReadError) {
            superblock = try pair.loaded()
        } catch {
            throw FileError(error)
        }
        superblock.features = features
        let block = BlockBuffer()
        superblock.encode(into: block.mutableBytes)
        do throws(DeviceError) {
            for address in [0, pair.backupAddress.rawValue] {
                try device.write(at: address, from: block.bytes)
                try device.flush()
            }
        } catch {
            throw .device(error)
        }
    }
}

/// What of a label needs the feature `posix`.
public struct PosixUse: Sendable {
    public var label: [UInt8]
    public var isMutable: Bool
    /// Entries with a change time: all that were made or changed with the feature.
    public var changeTimes = 0
    /// Files that have several names.
    public var linkedFiles = 0
    /// Parts of extended attributes.
    public var attributeParts = 0
    /// Names that are too long, or have bytes below 0x20.
    public var names = 0
    /// Names of a few such files, those with several names first.
    public var examples: [[UInt8]] = []

    static let examplesMax = 5

    /// Whether anything of the label needs the feature.
    var isAny: Bool { changeTimes + linkedFiles + attributeParts + names > 0 }

    /// Whether the label keeps the disk from losing the feature.
    public func isObstacle(droppingAttributes: Bool) -> Bool {
        if !isMutable { return isAny }
        return linkedFiles + names > 0 || (attributeParts > 0 && !droppingAttributes)
    }
}

extension FileSystem {
    /// Owners are users of the users file, although the disk has the feature `posix`: it was
    /// converted. Source: Docs/FORMAT.md 12.6.
    public func ownersAreNames() throws(FileError) -> Bool {
        guard volume.isPosix else { return true }
        return try volume.snapshots.value(Key.config(ConfigurationKey.owners))
            == ConfigurationKey.ownersByName
    }

    /// Prepares a disk for the feature `posix`: says that its owners are those of the users file.
    public func prepareForPosix() throws(FileError) {
        try setConfiguration(
            ConfigurationKey.owners, to: ConfigurationKey.ownersByName,
            as: Caller(user: users.adm, isPermissive: true))
    }

    /// What keeps the disk from losing the feature `posix`, label by label; those that do not need
    /// it are left out.
    public func posixUses() throws(FileError) -> [PosixUse] {
        var uses: [PosixUse] = []
        for label in try labels() {
            let use = try volume.withBranch(label.name) { (branch) throws(FileError) -> PosixUse in
                try branch.posixUse(label.name)
            }
            if use.isAny { uses.append(use) }
        }
        return uses
    }

    /// Makes all branches do without the feature `posix`: change times go, and so do extended
    /// attributes; files that have one name left go back into their directories.
    ///
    /// Nothing that `posixUses` calls an obstacle may be left. Commits.
    public func dropPosix() throws(FileError) {
        for label in try labels() where label.isMutable {
            try volume.withBranch(label.name) { (branch) throws(FileError) -> Void in
                try branch.flatten()
                try branch.dropPosix()
            }
        }
        if try volume.snapshots.value(Key.config(ConfigurationKey.owners)) != nil {
            try setConfiguration(
                ConfigurationKey.owners, to: nil,
                as: Caller(user: users.adm, isPermissive: true))
        }
        try volume.sync()
        try drainHistory()
    }
}

extension Branch {
    private static let keysAtOnce = 512

    fileprivate func posixUse(_ label: [UInt8]) throws(FileError) -> PosixUse {
        var use = PosixUse(label: label, isMutable: isMutable)
        func note(_ name: some Sequence<UInt8>) {
            if use.examples.count < PosixUse.examplesMax { use.examples.append(Array(name)) }
        }
        try scan(prefix: Key.prefix(.inode), after: nil, mayBlock: true) { _, value in
            if let entry = try? DirectoryEntry(decoding: value), entry.posix?.linkCount ?? 1 > 1 {
                use.linkedFiles += 1
            }
            use.changeTimes += 1
            return true
        }
        try scan(prefix: Key.prefix(.attribute), after: nil, mayBlock: true) { _, _ in
            use.attributeParts += 1
            return true
        }
        try scan(prefix: Key.prefix(.entry), after: nil, mayBlock: true) { key, value in
            guard let place = EntryKeyView(key) else { return true }
            if LinkRecord(value) != nil {
                if use.linkedFiles > 0 { note(place.name) }
            } else if value.count != DirectoryEntry.byteCount {
                use.changeTimes += 1
            }
            if place.name.count > Geometry.nameBytesMax || place.name.contains(where: { $0 < 0x20 })
            {
                use.names += 1
                note(place.name)
            }
            return true
        }
        return use
    }

    /// Brings all messages that wait in buffers down to the leaves: a removed key is out of the tree,
    /// and no leaf has a value that a message replaces. It stays so for as long as the branch is open.
    fileprivate func flatten() throws(FileError) {
        lock.locked { flattens = true }
        try volume.sync()
        let caller = Caller(user: .adm, isPermissive: true)
        let root = lock.locked { version.root }
        for key in try bufferedKeys(in: root) {
            // What it is already: the messages above take it along.
            let value = try value(key, mayBlock: true)
            try put(key, value, as: caller)
        }
        try volume.sync()
    }

    /// A key of each pivot that has messages.
    private func bufferedKeys(in root: TreeRoot) throws(FileError) -> [Key] {
        var keys: [Key] = []
        var todo = [(pointer: root.pointer, height: root.height)]
        while let (pointer, height) = todo.popLast() {
            guard height > 1 else { continue }
            let block: BlockBuffer
            do throws(ReadError) {
                block = try volume.reader.node(pointer, mayBlock: true)
            } catch {
                throw FileError(error)
            }
            let pivot = PivotView(unchecked: block.base)
            if pivot.messageCount > 0 { keys.append(Key(pivot.messageKey(0))) }
            for index in 0..<pivot.childCount {
                todo.append((pivot.pointer(index), height - 1))
            }
            withExtendedLifetime(block) {}
        }
        return keys
    }

    /// Puts the value of a key that is present, or removes the key (nil), whatever it is a key of.
    private func put(
        _ key: Key, _ value: [UInt8]?, as caller: Caller
    ) throws(FileError) {
        try volume.withRoom(caller) { () throws(FileError) -> Void in
            try lock.locked { () throws(FileError) -> Void in
                try checkWritable()
                try take(
                    promise(forPutting: key, valueBytes: value?.count ?? 0), as: caller,
                    drawsOnReserve: value == nil)
                if let value {
                    put(key, value, isNew: false)
                } else {
                    removeKey(key)
                }
            }
        }
    }

    fileprivate func dropPosix() throws(FileError) {
        try forEachKey(.attribute) { _, _ in [] }
        // Files with one name first, so that the entry is there before its key goes.
        try forEachKey(.entry) { (key, value) throws(FileError) in
            let found = try value.withBytes { (bytes) throws(FileError) -> DirectoryEntry? in
                if LinkRecord(bytes) == nil, bytes.count == DirectoryEntry.byteCount { return nil }
                return try self.entry(ofName: bytes, mayBlock: true)
            }
            guard var entry = found else { return nil }
            entry.posix = nil
            return entry.encoded()
        }
        try forEachKey(.link) { _, _ in [] }
        try forEachKey(.inode) { _, _ in [] }
    }

    /// Replaces the values of all keys of a kind: nil leaves one alone, an empty value removes the
    /// key. The branch has no other user.
    private func forEachKey(
        _ kind: KeyKind,
        _ change: (_ key: [UInt8], _ value: [UInt8]) throws(FileError) -> [UInt8]?
    ) throws(FileError) {
        let caller = Caller(user: .adm, isPermissive: true)
        var last: [UInt8]?
        while true {
            var found: [(key: [UInt8], value: [UInt8])] = []
            try scan(prefix: Key.prefix(kind), after: last, mayBlock: true) { key, value in
                found.append((Array(key), Array(value)))
                return found.count < Self.keysAtOnce
            }
            guard let end = found.last else { return }
            last = end.key
            for (key, value) in found {
                guard let next = try change(key, value) else { continue }
                try put(Key(bytes: key), next.isEmpty ? nil : next, as: caller)
            }
            try volume.admit(caller)
        }
    }
}
