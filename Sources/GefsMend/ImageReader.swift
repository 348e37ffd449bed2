import GefsEngine
import GefsFormat

/// Reads trees of a sound image, without the engine's own reading code.
struct ImageReader {
    let image: MemoryImage

    func block(_ address: UInt64) -> [UInt8] {
        image.bytes(at: address, count: Geometry.blockBytes)
    }

    var superblock: Superblock? {
        block(0).withUnsafeBytes {
            try? Superblock(decoding: $0, at: BlockAddress(rawValue: 0))
        }
    }

    /// Where a node refers to another block, and how.
    struct Link {
        var address: UInt64
        var isNode: Bool
        /// Where the pointer lies in the node.
        var offset: Int
    }

    /// A pair of a tree and the nodes that it depends on.
    struct Pair {
        var key: [UInt8]
        var value: [UInt8]
        var nodes: [UInt64]
    }

    private struct Message {
        var kind: MessageKind
        var key: [UInt8]
        var payload: [UInt8]
    }

    /// All pairs of a tree in order.
    func pairs(root: BlockPointer, height: Int) -> [Pair] {
        var result: [Pair] = []
        scan(root.address.rawValue, height, [], [], &result)
        return result
    }

    private func scan(
        _ address: UInt64, _ height: Int, _ above: [UInt64], _ messages: [Message],
        _ result: inout [Pair]
    ) {
        let bytes = block(address)
        let path = above + [address]
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress,
                (try? NodeCheck.check(bytes, at: BlockAddress(rawValue: address))) != nil
            else { return }
            if height <= 1 {
                fold(LeafView(unchecked: base), messages, path, &result)
                return
            }
            let pivot = PivotView(unchecked: base)
            var all = (0..<pivot.messageCount).map { index -> Message in
                let message = pivot.message(index)
                return Message(
                    kind: message.kind, key: Array(message.key), payload: Array(message.payload))
            }
            all += messages
            // The sort is stable by hand: own messages are older than those from above.
            let sorted = all.enumerated().sorted {
                $0.element.key == $1.element.key
                    ? $0.offset < $1.offset : Self.isBefore($0.element.key, $1.element.key)
            }.map(\.element)
            var start = 0
            for child in 0..<pivot.childCount {
                var end = sorted.count
                if child + 1 < pivot.childCount {
                    let limit = Array(pivot.key(child + 1))
                    end = start
                    while end < sorted.count, Self.isBefore(sorted[end].key, limit) { end += 1 }
                }
                scan(
                    pivot.pointer(child).address.rawValue, height - 1, path,
                    Array(sorted[start..<end]), &result)
                start = end
            }
        }
    }

    private static func isBefore(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        Key(bytes: left) < Key(bytes: right)
    }

    private func fold(
        _ leaf: LeafView, _ messages: [Message], _ path: [UInt64], _ result: inout [Pair]
    ) {
        var index = 0
        var next = 0
        var scratch = [UInt8](repeating: 0, count: Geometry.valueBytesMax)
        while index < leaf.count || next < messages.count {
            var key = next < messages.count ? messages[next].key : Array(leaf.key(index))
            var value: [UInt8]?
            if index < leaf.count, !Self.isBefore(key, Array(leaf.key(index))) {
                key = Array(leaf.key(index))
                value = Array(leaf.value(index))
                index += 1
            }
            while next < messages.count, messages[next].key == key {
                value = Self.apply(messages[next], to: value, &scratch)
                next += 1
            }
            if let value { result.append(Pair(key: key, value: value, nodes: path)) }
        }
    }

    private static func apply(
        _ message: Message, to value: [UInt8]?, _ scratch: inout [UInt8]
    ) -> [UInt8]? {
        scratch.withUnsafeMutableBytes { scratch -> [UInt8]? in
            message.payload.withUnsafeBytes { payload -> [UInt8]? in
                func fold(_ current: UnsafeRawBufferPointer?) -> [UInt8]? {
                    do {
                        return try MessageFold.apply(
                            message.kind, payload: payload, to: current, scratch: scratch
                        ).map { Array($0) }
                    } catch {
                        return value
                    }
                }
                guard let value else { return fold(nil) }
                return value.withUnsafeBytes { fold($0) }
            }
        }
    }

    /// The blocks that a node refers to.
    func links(_ address: UInt64) -> [Link] {
        let bytes = block(address)
        return bytes.withUnsafeBytes { bytes in
            var links: [Link] = []
            guard let base = bytes.baseAddress,
                let kind = try? NodeCheck.check(bytes, at: BlockAddress(rawValue: address))
            else { return [] }
            func add(_ value: UnsafeRawBufferPointer, isNode: Bool, at offset: Int = 0) {
                guard let start = value.baseAddress else { return }
                links.append(
                    Link(
                        address: BlockPointer(decoding: start + offset).address.rawValue,
                        isNode: isNode, offset: start + offset - base))
            }
            func addRecord(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
                switch key.first {
                case KeyKind.data.rawValue: add(value, isNode: false)
                case KeyKind.snapshot.rawValue: add(value, isNode: true, at: 48)
                default: break
                }
            }
            if kind == .leaf {
                let leaf = LeafView(unchecked: base)
                for index in 0..<leaf.count { addRecord(leaf.key(index), leaf.value(index)) }
            } else {
                let pivot = PivotView(unchecked: base)
                for index in 0..<pivot.childCount {
                    let key = pivot.key(index)
                    guard let end = key.baseAddress else { continue }
                    add(
                        UnsafeRawBufferPointer(
                            start: end + key.count + 2, count: Geometry.pivotValueBytes),
                        isNode: true)
                }
                for index in 0..<pivot.messageCount {
                    let message = pivot.message(index)
                    if message.kind == .insert { addRecord(message.key, message.payload) }
                }
            }
            return links
        }
    }
}
