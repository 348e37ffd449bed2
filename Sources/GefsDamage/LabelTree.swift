import GefsEngine
import GefsFormat

/// The files of one label, what is in them, and which blocks each of them needs.
package struct LabelTree {
    /// A file or directory.
    package struct File {
        package let path: [[UInt8]]
        package let isDirectory: Bool
        let qid: UInt64
        package let length: UInt64
        /// Where the blocks of the file lie, by their index; what is missing reads as zeros.
        package let data: [UInt64: UInt64]
        /// Names in a directory, sorted.
        package fileprivate(set) var names: [[UInt8]] = []
        /// Keys that are looked up on the way to it, its own last.
        fileprivate let way: [Key]

        package var name: String {
            path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
        }
    }

    package let label: [UInt8]
    package let isMutable: Bool
    /// Depth first, the root first.
    package private(set) var files: [File] = []
    private let nodes: [UInt64: TreeReader.Node]
    private var filesOfData: [UInt64: [Int]] = [:]

    init(label: [UInt8], isMutable: Bool, reader: TreeReader) throws {
        self.label = label
        self.isMutable = isMutable
        nodes = reader.nodes
        var children: [UInt64: [(name: [UInt8], key: Key, entry: DirectoryEntry)]] = [:]
        var data: [UInt64: [UInt64: UInt64]] = [:]
        for (key, value) in reader.records {
            try key.withBytes { bytes in
                switch try DecodedKey(bytes) {
                case .data(let qid, let offset):
                    try value.withUnsafeBytes { value in
                        guard let base = value.baseAddress, value.count == BlockPointer.byteCount
                        else { throw DiskMap.Unreadable(description: "a data pointer is none") }
                        data[qid, default: [:]][offset / DiskMap.blockBytes] =
                            BlockPointer(decoding: base).address.rawValue
                    }
                case .entry:
                    guard let place = EntryKeyView(bytes) else { return }
                    let entry = try value.withUnsafeBytes { try DirectoryEntry(decoding: $0) }
                    children[place.parent, default: []].append((Array(place.name), key, entry))
                default: break
                }
            }
        }
        var todo = (children[.max] ?? []).map { (path: [[UInt8]](), way: [Key](), item: $0) }
        while let (path, way, item) = todo.popLast() {
            let isDirectory = item.entry.isDirectory
            let way = way + [item.key]
            var file = File(
                path: path, isDirectory: isDirectory, qid: item.entry.qidPath,
                length: isDirectory ? 0 : UInt64(bitPattern: item.entry.length),
                data: data[item.entry.qidPath] ?? [:], way: way)
            if isDirectory {
                let inside = (children[item.entry.qidPath] ?? []).sorted {
                    $1.name.lexicographicallyPrecedes($0.name)
                }
                file.names = inside.map(\.name).reversed()
                todo += inside.map { (path + [$0.name], way, $0) }
            }
            for address in file.data.values {
                filesOfData[address, default: []].append(files.count)
            }
            files.append(file)
        }
    }

    /// What a file should hold from a block on, up to its end.
    func content(of file: File, block: UInt64, in image: MemoryImage) -> [UInt8] {
        let start = block * DiskMap.blockBytes
        let count = Int(min(DiskMap.blockBytes, file.length - min(start, file.length)))
        guard let address = file.data[block] else { return [UInt8](repeating: 0, count: count) }
        return image.bytes(at: address, count: count)
    }

    /// The keys that a node answers for, for messages.
    func bounds(of address: UInt64) -> String {
        guard let node = nodes[address] else { return "(no node of the tree)" }
        let bounds = [node.low, node.high].map { key in
            key.map { $0.bytes.map { String($0, radix: 16) }.joined(separator: ".") } ?? "-"
        }
        return "(keys \(bounds.joined(separator: " to ")))"
    }

    /// Places of the files that may not be readable when a block is damaged.
    package func dependents(of address: UInt64) -> Set<Int> {
        var found = Set(filesOfData[address] ?? [])
        guard let node = nodes[address] else { return found }
        for (index, file) in files.enumerated() {
            if file.way.contains(where: { node.isPassed(from: $0, to: $0) }) {
                found.insert(index)
            } else if file.isDirectory {
                let last = Key(bytes: Key.entryPrefix(file.qid).bytes + [0xff, 0xff])
                if node.isPassed(from: Key.entryPrefix(file.qid), to: last) { found.insert(index) }
            } else if file.length > 0 {
                let last = (file.length - 1) / DiskMap.blockBytes * DiskMap.blockBytes
                if node.isPassed(
                    from: .data(file.qid, offset: 0), to: .data(file.qid, offset: last))
                {
                    found.insert(index)
                }
            }
        }
        return found
    }
}

extension DiskMap {
    /// For each label, the places of the files that need a block.
    func dependents(of address: UInt64) -> [Set<Int>] {
        trees.map { $0.dependents(of: address) }
    }
}
