import GefsFormat

@testable import GefsEngine

/// Which blocks of an image it takes to find a key of a tree, and a file; found without any of
/// what the rescue does.
struct TreeFootprint {
    private let image: MemoryImage
    private let root: BlockPointer

    init(_ image: MemoryImage, _ root: BlockPointer) {
        self.image = image
        self.root = root
    }

    /// The blocks from the root to the leaf of a key, and the key's value.
    func lookUp(_ key: Key) -> (blocks: Set<UInt64>, value: [UInt8]?) {
        var blocks: Set<UInt64> = []
        var levels: [[(MessageKind, [UInt8])]] = []
        var pointer = root
        while true {
            blocks.insert(pointer.address.rawValue)
            let bytes = image.bytes(at: pointer.address.rawValue, count: Geometry.blockBytes)
            let value: [UInt8]?? = bytes.withUnsafeBytes { raw in
                key.withBytes { key in
                    guard let base = raw.baseAddress else { return .some(nil) }
                    if base.loadBigEndian(at: 0, as: UInt16.self) == BlockKind.leaf.rawValue {
                        let leaf = LeafView(unchecked: base)
                        let place = leaf.search(key)
                        return .some(place.found ? Array(leaf.value(place.index)) : nil)
                    }
                    let pivot = PivotView(unchecked: base)
                    levels.append(
                        (0..<pivot.messageCount).map { pivot.message($0) }.filter {
                            compareKeys($0.key, key) == 0
                        }.map { ($0.kind, Array($0.payload)) })
                    pointer = pivot.pointer(pivot.childIndex(for: key))
                    return nil
                }
            }
            guard let value else { continue }
            return (blocks, Self.apply(levels, to: value))
        }
    }

    private static func apply(
        _ levels: [[(MessageKind, [UInt8])]], to below: [UInt8]?
    ) -> [UInt8]? {
        var value = below
        var scratch = [UInt8](repeating: 0, count: Geometry.valueBytesMax)
        for (kind, payload) in levels.reversed().flatMap({ $0 }) {
            value = scratch.withUnsafeMutableBytes { scratch in
                payload.withUnsafeBytes { payload in
                    guard let value else {
                        return
                            (try? MessageFold.apply(
                                kind, payload: payload, to: nil, scratch: scratch)).flatMap { $0 }
                            .map { Array($0) }
                    }
                    return value.withUnsafeBytes { value in
                        (try? MessageFold.apply(
                            kind, payload: payload, to: value, scratch: scratch)).flatMap { $0 }
                            .map { Array($0) }
                    }
                }
            }
        }
        return value
    }

    /// Every block that a path's entry, those of all directories on the way and the file's data
    /// are in; nil where the path is not there.
    func blocks(ofPath path: String) -> Set<UInt64>? {
        var blocks: Set<UInt64> = []
        var (found, value) = lookUp(.entry(parent: .max, name: []))
        blocks.formUnion(found)
        for name in path.split(separator: "/") {
            guard let entry = Self.entry(value) else { return nil }
            (found, value) = lookUp(.entry(parent: entry.qidPath, name: Array(name.utf8)))
            blocks.formUnion(found)
        }
        guard let entry = Self.entry(value) else { return nil }
        guard !entry.isDirectory else { return blocks }
        for offset in stride(from: 0, to: entry.length, by: Geometry.blockBytes) {
            let (found, value) = lookUp(.data(entry.qidPath, offset: UInt64(offset)))
            blocks.formUnion(found)
            value?.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                blocks.insert(BlockPointer(decoding: base).address.rawValue)
            }
        }
        return blocks
    }

    private static func entry(_ value: [UInt8]?) -> DirectoryEntry? {
        value?.withUnsafeBytes { try? DirectoryEntry(decoding: $0) }
    }
}
