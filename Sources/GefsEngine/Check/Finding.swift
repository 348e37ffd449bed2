import GefsFormat

/// One thing that the checker noticed.
///
/// A finding is data first: `what` names the place and carries the numbers, `description` prints
/// them.
public struct Finding: Error, Hashable, Sendable {
    /// How much a finding matters.
    public enum Severity: UInt8, Hashable, Comparable, Sendable, CaseIterable {
        /// Worth knowing; nothing is wrong.
        case note
        /// Something is stale or wasted; nothing is lost.
        case warning
        /// The disk contradicts itself or the format.
        case error

        /// Milder ones first.
        public static func < (left: Severity, right: Severity) -> Bool {
            left.rawValue < right.rawValue
        }
    }

    /// Where something was found, and what.
    public enum What: Hashable, Sendable {
        /// About the device, its superblocks, or the checking itself.
        case volume(VolumeFault)
        /// About the arena of this index, its header, footer or log.
        case arena(Int, ArenaFault)
        /// About the use that something makes of a block.
        case block(BlockAddress, BlockUse, BlockFault)
        /// About the contents of a node, and the first tree it was met in.
        case node(BlockAddress, TreeName, NodeFault)
        /// About the files of one tree.
        case files(TreeName, HierarchyFault)
        /// About labels and snapshot records.
        case snapshot(SnapshotFault)
        /// About a list of dead blocks.
        case deadlist(DeadlistName, DeadlistFault)
        /// About space that is lost.
        case space(SpaceFault)
    }

    /// How much it matters.
    public let severity: Severity
    /// Where and what.
    public let what: What

    init(_ what: What) {
        self.what = what
        severity = what.fault.severity
    }

    /// The same finding with another weight.
    func weighed(_ severity: Severity) -> Finding { Finding(what, severity) }

    private init(_ what: What, _ severity: Severity) {
        self.what = what
        self.severity = severity
    }

    /// A stable word for the kind of finding, as `node.fill`.
    public var kind: String { what.fault.kind }

    /// The block it is about, if it is about one.
    public var address: BlockAddress? {
        switch what {
        case .block(let address, _, _), .node(let address, _, _): address
        case .arena(_, let fault): fault.address
        case .deadlist(_, let fault): fault.address
        case .volume(let fault): fault.address
        case .files, .snapshot, .space: nil
        }
    }
}

/// What all kinds of faults have in common.
protocol Fault: Hashable, Sendable, CustomStringConvertible {
    var severity: Finding.Severity { get }
    /// A stable word for the case, with that of the enum in front.
    var kind: String { get }
}

extension Finding.What {
    /// The innermost part: what is wrong, without where.
    var fault: any Fault {
        switch self {
        case .volume(let fault): fault
        case .arena(_, let fault): fault
        case .block(_, _, let fault): fault
        case .node(_, _, let fault): fault
        case .files(_, let fault): fault
        case .snapshot(let fault): fault
        case .deadlist(_, let fault): fault
        case .space(let fault): fault
        }
    }
}

extension Finding: CustomStringConvertible {
    /// Where and what, without the severity: `node 0x7f4000 of snapshot 27 [main]: fill …`.
    public var description: String {
        switch what {
        case .volume(let fault): fault.description
        case .arena(let index, let fault): "arena \(index): \(fault)"
        case .block(let address, let use, let fault): "block \(address) (\(use)): \(fault)"
        case .node(let address, let tree, let fault): "node \(address) of \(tree): \(fault)"
        case .files(let tree, let fault): "\(tree): \(fault)"
        case .snapshot(let fault): fault.description
        case .deadlist(let name, let fault): "\(name): \(fault)"
        case .space(let fault): fault.description
        }
    }
}

extension Finding.Severity: CustomStringConvertible {
    /// `error`, `warning` or `note`.
    public var description: String {
        switch self {
        case .note: "note"
        case .warning: "warning"
        case .error: "error"
        }
    }
}
