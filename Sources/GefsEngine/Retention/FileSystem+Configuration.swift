import GefsFormat

/// A configuration entry: a name and its value.
public struct ConfigurationEntry: Hashable, Sendable {
    public var name: [UInt8]
    public var value: [UInt8]
}

/// Settings are kept in the snapshot tree, for the whole volume, and in the trees of branches,
/// whose snapshots and forks take them along. Source: FORMAT 7.4.
extension FileSystem {
    /// What is set in a label's own tree, or for the whole volume; in the order of the names.
    ///
    /// What the implementation keeps there for itself is left out.
    /// - Throws: `.label(.unknown)`; errors of reading.
    public func configuration(
        of label: [UInt8]? = nil
    ) throws(FileError) -> [ConfigurationEntry] {
        var entries: [ConfigurationEntry] = []
        func add(_ name: [UInt8], _ value: [UInt8]) {
            guard !name.starts(with: ConfigurationKey.ownPrefix) else { return }
            entries.append(ConfigurationEntry(name: name, value: value))
        }
        let prefix = Key.prefix(.config)
        guard let label else {
            for pair in try volume.snapshots.pairs(prefix.bytes) {
                add(Array(pair.key.dropFirst()), pair.value)
            }
            return entries
        }
        try volume.withBranch(label) { (branch) throws(FileError) -> Void in
            try branch.scan(prefix: prefix, after: nil, mayBlock: true) { key, value in
                add(Array(key.dropFirst()), Array(value))
                return true
            }
        }
        return entries
    }

    /// Sets a configuration value, or clears it (nil), in a branch's own tree or for the whole
    /// volume; durable on return.
    ///
    /// - Throws: `.label` with the reason: `.unknown` and `.immutable` for the label, `.notSet` and
    ///   `.badConfiguration` for the name; `.retention` for a schedule that is none; `.readOnly`,
    ///   `.volumeFull`, `.wouldBlock`. Then nothing has changed.
    public func setConfiguration(
        _ name: [UInt8], to value: [UInt8]?, of label: [UInt8]? = nil, as caller: Caller
    ) throws(FileError) {
        guard let label else {
            return try change([.configure(key: name, value: value)], as: caller)
        }
        guard caller.mayBlock else { throw .wouldBlock }
        try ConfigurationKey.check(name, value)
        try volume.withBranch(label) { (branch) throws(FileError) -> Void in
            guard branch.isMutable else { throw .label(.immutable, label) }
            try volume.withRoom(caller) { () throws(FileError) -> Void in
                try branch.setConfiguration(name, to: value, as: caller)
            }
            try volume.sync()
        }
    }

    /// The schedule of automatic snapshots that holds for a label, or for all that have none of
    /// their own.
    ///
    /// - Throws: `.label(.unknown)`; errors of reading.
    public func retention(of label: [UInt8]? = nil) throws(FileError) -> RetentionSetting {
        try volume.retention(of: label)
    }
}

extension Branch {
    fileprivate func setConfiguration(
        _ name: [UInt8], to value: [UInt8]?, as caller: Caller
    ) throws(FileError) {
        let key = Key.config(name)
        try update { (view: BelowView) throws(FileError) -> [UInt8]? in
            try valueBelow(key, view, mayBlock: caller.mayBlock)
        } _: { (below: [UInt8]?) throws(FileError) -> Void in
            try checkWritable()
            let present = valueLocked(key, below: below)
            guard let value else {
                // The original aborts here, and at every start from then on (SEMANTICS 12.28).
                guard present != nil else { throw .label(.notSet, name) }
                try take(promise(forPutting: key, valueBytes: 0), as: caller, drawsOnReserve: true)
                removeKey(key)
                return
            }
            try take(
                promise(forPutting: key, valueBytes: value.count), as: caller,
                drawsOnReserve: false)
            put(key, value, isNew: present == nil)
        }
    }
}
