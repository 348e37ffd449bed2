import GefsEngine
import NIOCore
import NineP

/// A fid in the control tree: the root directory, or its one file `ctl` with the reply to what was
/// written to it last.
///
/// Used by one request at a time: every request on such a fid holds it exclusively.
final class ControlFile: @unchecked Sendable {
    enum Node: Equatable {
        case root
        case control
    }

    var node: Node
    var openAccess: UInt8?
    /// What reading gives.
    var reply = ReplySpool()

    init(_ node: Node) {
        self.node = node
    }

    static let controlName = Array("ctl".utf8)
    private static let rootName = Array("/".utf8)
    private static let owner = Array("adm".utf8)

    /// Identity of a node of the tree; the paths are of this tree only.
    static func qid(_ node: Node) -> WireQid {
        switch node {
        case .root: WireQid(type: WireQid.directoryType, version: 0, path: 0)
        case .control: WireQid(type: 0, version: 0, path: 1)
        }
    }

    var qid: WireQid { Self.qid(node) }

    static func walk(from node: Node, _ name: UnsafeRawBufferPointer) -> Node? {
        if name.elementsEqual("..".utf8) { return .root }
        return node == .root && name.elementsEqual(controlName) ? .control : nil
    }

    var isOpenForReading: Bool {
        openAccess == OpenFlags.read || openAccess == OpenFlags.readWrite
    }

    var isOpenForWriting: Bool {
        openAccess == OpenFlags.write || openAccess == OpenFlags.readWrite
    }

    /// Lends the stat record of a node.
    static func withStat<R>(of node: Node, _ body: (Stat) -> R) -> R {
        let name = node == .root ? rootName : controlName
        return name.withUnsafeBytes { name in
            owner.withUnsafeBytes { owner in
                var stat = Stat()
                stat.qid = qid(node)
                stat.mode = node == .root ? ModeBits.directory | 0o500 : 0o600
                stat.accessTime = 0
                stat.modificationTime = 0
                stat.length = 0
                stat.name = name
                stat.user = owner
                stat.group = owner
                stat.lastModifier = owner
                return body(stat)
            }
        }
    }
}
