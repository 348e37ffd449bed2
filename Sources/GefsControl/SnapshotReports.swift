/// A change of the labels: what was made, deleted or moved.
public struct LabelChangeReport: Report {
    public static var type: String { "labelChange" }

    public enum Action: String, Codable, Sendable {
        case create
        case fork
        case delete
        case rename
        case rollback
    }

    public var action: Action
    /// The label that was made, deleted or moved.
    public var name: String
    /// The label that it was made from or moved to; the former name.
    public var from: String?
    /// The label that keeps what a branch was before it was rolled back.
    public var kept: String?

    public init(_ action: Action, _ name: String, from: String? = nil, kept: String? = nil) {
        self.action = action
        self.name = name
        self.from = from
        self.kept = kept
    }

    /// As the console says it. Source: SEMANTICS 9.
    var text: [String] {
        let from = from ?? ""
        switch action {
        case .create: return ["labeled: \(name) from \(from)"]
        case .fork: return ["forked: \(name) from \(from)"]
        case .delete: return ["deleted: \(name)"]
        case .rename: return ["renamed: \(from) to \(name)"]
        case .rollback:
            let text = "rolled back: \(name) to \(from)"
            guard let kept else { return [text] }
            return [text, "kept: \(kept), what \(name) was before"]
        }
    }
}

/// A label without what takes time to find out.
public struct LabelNameReport: Report {
    public static var type: String { "name" }
    public var name: String
    public var mutable: Bool

    /// As the console says it. Source: SEMANTICS 9, `snap -l`.
    var text: String { "\(name)\(mutable ? " [mutable]" : "")" }
}

/// The reserve: whether it is kept, before and after a command.
public struct ReserveReport: Report {
    public static var type: String { "reserve" }
    public var before: Bool
    public var after: Bool
}

/// A fid that a client of the server holds.
public struct FidReport: Report {
    public static var type: String { "fid" }
    public var client: String
    public var fid: UInt32
    public var user: String
    public var label: String
    public var path: String
    public var open: Bool
}
