import GefsFormat

/// The schedule that holds for a branch, and where it is set. Source: SEMANTICS 8.2.
public struct RetentionSetting: Hashable, Sendable {
    /// In the order in which they are looked up.
    public enum Source: String, Sendable {
        /// In the branch's own tree.
        case branch
        /// In the snapshot tree, for all branches that have none of their own.
        case volume
        /// Nowhere.
        case standard
    }

    public var source: Source
    /// The value that is set, as it is on the disk.
    public var text: [UInt8]
    /// What it asks for. Nil for a bad value: then the branch has no automatic snapshots.
    public var policy: RetentionPolicy?
    /// What is wrong with a bad value.
    public var fault: RetentionFault?

    /// - Parameters:
    ///   - own: what is set in the branch's own tree.
    ///   - volume: what is set in the snapshot tree.
    init(own: [UInt8]?, volume: [UInt8]?) {
        source = own != nil ? .branch : volume != nil ? .volume : .standard
        text = own ?? volume ?? Array(RetentionPolicy.standard.text.utf8)
        do throws(RetentionFault) {
            policy = try RetentionPolicy(parsing: text)
        } catch {
            fault = error
        }
    }
}

extension Volume {
    /// The schedule of a label's tree, or of the volume where it has none.
    func retention(of label: [UInt8]?) throws(FileError) -> RetentionSetting {
        var own: [UInt8]?
        if let label { own = try configuration(RetentionPolicy.key, of: label) }
        return RetentionSetting(
            own: own, volume: try snapshots.value(Key.config(RetentionPolicy.key)))
    }

    /// A configuration value in a label's own tree.
    func configuration(_ name: [UInt8], of label: [UInt8]) throws(FileError) -> [UInt8]? {
        try withBranch(label) { (branch) throws(FileError) -> [UInt8]? in
            try branch.value(Key.config(name), mayBlock: true)
        }
    }

    /// Lends a branch, which cannot be deleted meanwhile.
    ///
    /// - Throws: `.label(.unknown)` and what `body` throws.
    func withBranch<Result>(
        _ label: [UInt8], _ body: (Branch) throws(FileError) -> Result
    ) throws(FileError) -> Result {
        let branch: Branch
        do throws(FileError) {
            branch = try use(label, mayBlock: true)
        } catch .unknownLabel {
            throw .label(.unknown, label)
        }
        defer { branch.lock.locked { branch.removeUser() } }
        return try body(branch)
    }
}
