import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// What a test does with the files of one label.
struct BranchEditor {
    let volume: TestVolume
    let label: String

    init(_ volume: TestVolume, _ label: String) {
        self.volume = volume
        self.label = label
    }

    private var fileSystem: FileSystem { volume.fileSystem }

    @discardableResult
    func with<R>(_ path: String, _ body: (FileHandle) throws -> R) throws -> R {
        let handle = try volume.walk(path, label: label)
        defer { fileSystem.close(handle) }
        return try body(handle)
    }

    @discardableResult
    func create(_ path: String, _ bytes: [UInt8]? = nil) throws -> UInt64 {
        let (parent, name) = PathText.split(path)
        return try with(parent) { handle in
            let mode = bytes == nil ? ModeBits.directory | 0o755 : 0o644
            try Array(name.utf8).withBytes { (name) throws(FileError) -> Void in
                try fileSystem.create(
                    in: handle, name: name, mode: mode,
                    OpenMode(bytes == nil ? .read : .readWrite), as: volume.caller)
            }
            if let bytes, !bytes.isEmpty { try volume.write(handle, bytes, at: 0) }
            return handle.qid.path
        }
    }

    func write(_ path: String, _ bytes: [UInt8], at offset: UInt64 = 0) throws {
        try with(path) { handle in
            try fileSystem.open(handle, OpenMode(.write), as: volume.caller)
            try volume.write(handle, bytes, at: offset)
        }
    }

    func remove(_ path: String) throws {
        try with(path) { try fileSystem.remove($0, as: volume.caller) }
    }

    func change(_ path: String, _ edit: (inout AttributeChanges) -> Void) throws {
        var changes = AttributeChanges()
        edit(&changes)
        try with(path) { try fileSystem.change($0, changes, as: volume.caller) }
    }

    func rename(_ path: String, _ name: String) throws {
        try change(path) { $0.name = Array(name.utf8) }
    }

    func read(_ path: String) throws -> [UInt8] {
        try fileSystem.contents(of: path, in: label, as: volume.caller)
    }

    /// All files by qid.
    func files() throws -> MergeModel {
        let files = TreeFiles(
            fileSystem.volume, try fileSystem.pin(Array(label.utf8)))
        var model = MergeModel()
        let root = try files.rootDirectory()
        model.root = root.qid
        var directories = [(root.qid, "")]
        while let (qid, path) = directories.popLast() {
            for file in try files.children(of: qid) {
                let name = String(decoding: file.name, as: UTF8.self)
                let child = path.isEmpty ? name : path + "/" + name
                model.nodes[file.qid] = MergeModel.Node(
                    parent: qid, name: name, isDirectory: file.isDirectory,
                    mode: file.entry.mode,
                    content: file.isDirectory ? [] : try read(child))
                if file.isDirectory { directories.append((file.qid, child)) }
            }
        }
        return model
    }
}

/// A tree by qid, and what merging three of them has to give.
struct MergeModel: Equatable {
    struct Node: Equatable {
        var parent: UInt64
        var name: String
        var isDirectory: Bool
        var mode: UInt32
        var content: [UInt8]
    }

    var root: UInt64 = 0
    var nodes: [UInt64: Node] = [:]

    func path(of qid: UInt64) -> String? {
        var names: [String] = []
        var next = qid
        while next != root {
            guard let node = nodes[next], names.count < 100 else { return nil }
            names.append(node.name)
            next = node.parent
        }
        return names.reversed().joined(separator: "/")
    }

    /// Nil where the changes do not go together.
    static func merge(base: MergeModel, ours: MergeModel, theirs: MergeModel) -> MergeModel? {
        var merged = MergeModel()
        merged.root = base.root
        let all = Set(base.nodes.keys).union(ours.nodes.keys).union(theirs.nodes.keys)
        for qid in all {
            let (b, o, t) = (base.nodes[qid], ours.nodes[qid], theirs.nodes[qid])
            if o == t || t == b {
                merged.nodes[qid] = o
            } else if o == b {
                merged.nodes[qid] = t
            } else {
                guard let b, let o, let t,
                    let name = choose(b.name, o.name, t.name),
                    let mode = choose(b.mode, o.mode, t.mode),
                    let content = choose(b.content, o.content, t.content)
                else { return nil }
                merged.nodes[qid] = Node(
                    parent: b.parent, name: name, isDirectory: b.isDirectory, mode: mode,
                    content: content)
            }
        }
        var taken: Set<String> = []
        for qid in merged.nodes.keys {
            guard let path = merged.path(of: qid), taken.insert(path).inserted else { return nil }
        }
        return merged
    }

    private static func choose<T: Equatable>(_ b: T, _ o: T, _ t: T) -> T? {
        if o == t || t == b { return o }
        return o == b ? t : nil
    }
}
