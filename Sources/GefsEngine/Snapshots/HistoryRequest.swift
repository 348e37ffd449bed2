import GefsFormat

/// A caller that waits for a commit which changes labels.
final class HistoryRequest: @unchecked Sendable {
    let changes: [HistoryChange]
    /// volume's lock.
    var result: Result<Void, FileError>?

    init(_ changes: [HistoryChange]) {
        self.changes = changes
    }

    /// A roll-back switches its branch before the commit freezes anything, so it comes alone.
    var isRollback: Bool {
        if case .rollback? = changes.first { return true }
        return false
    }
}

/// Which labels there will be when the changes accepted so far have been made.
struct LabelForecast {
    private let history: History
    /// Whether a label will be mutable; nil for one that will be gone.
    private var changed: [[UInt8]: Bool?] = [:]

    init(_ history: History) {
        self.history = history
    }

    /// Whether a label follows writes; nil where there is none.
    func isMutable(_ name: [UInt8]) -> Bool? {
        if let known = changed[name] { return known }
        return history.label(name)?.isMutable
    }

    /// Notes a change, or says why it is refused.
    mutating func apply(_ change: HistoryChange) throws(FileError) {
        switch change {
        case .snapshot(let source, let name):
            _ = try existing(source)
            try add(name, isMutable: false)
        case .fork(let source, let name):
            _ = try existing(source)
            try add(name, isMutable: true)
        case .delete(let name):
            if LabelName.reserved.contains(name) { throw .label(.reserved, name) }
            _ = try existing(name)
            changed[name] = .some(nil)
        case .rename(let name, let new):
            if LabelName.reserved.contains(name) { throw .label(.reserved, name) }
            let isMutable = try existing(name)
            changed[name] = .some(nil)
            try add(new, isMutable: isMutable)
        case .rollback(let branch, let source, let keeping):
            guard try existing(branch) else { throw .label(.immutable, branch) }
            _ = try existing(source)
            if let keeping { try add(keeping, isMutable: false) }
        case .configure(let key, let value):
            try ConfigurationKey.check(key, value)
        }
    }

    private func existing(_ name: [UInt8]) throws(FileError) -> Bool {
        guard let isMutable = isMutable(name) else { throw .label(.unknown, name) }
        return isMutable
    }

    private mutating func add(_ name: [UInt8], isMutable: Bool) throws(FileError) {
        try LabelName.check(name, isMutable: isMutable)
        guard self.isMutable(name) == nil else { throw .label(.exists, name) }
        changed[name] = isMutable
    }
}

/// What configuration may be set from outside.
enum ConfigurationKey {
    /// Keys that begin so are the implementation's own.
    static let ownPrefix = Array("gefs.".utf8)

    /// Whose numbers the owners on a disk with the feature `posix` are. Source: Docs/FORMAT.md 12.6.
    static let owners = Array("gefs.owners".utf8)
    static let ownersByName = Array("names".utf8)

    static func check(_ key: [UInt8], _ value: [UInt8]?) throws(FileError) {
        if key == owners, value ?? ownersByName == ownersByName { return }
        guard !key.isEmpty, key.count < Geometry.keyBytesMax, !key.starts(with: ownPrefix),
            value?.count ?? 0 <= Geometry.valueBytesMax
        else { throw .label(.badConfiguration, key) }
        guard key == RetentionPolicy.key, let value else { return }
        do throws(RetentionFault) {
            _ = try RetentionPolicy(parsing: value)
        } catch {
            throw .retention(error)
        }
    }
}
