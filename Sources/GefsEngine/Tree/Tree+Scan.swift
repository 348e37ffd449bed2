import GefsFormat

extension Tree {
    /// Merged iteration over a tree in key order, from a start key on.
    ///
    /// Pull style: each call of `next` gives one pair, whose bytes are valid until the next call.
    /// Every node is read once; nothing is copied or allocated per pair.
    struct Scan<Source: NodeSource> {
        /// A pivot on the way to the present leaf.
        private struct Frame {
            let node: BlockBuffer
            let pivot: PivotView
            var child: Int
            var message: Int

            var hasMessage: Bool { message < pivot.messageCount }
            var hasNextChild: Bool { child + 1 < pivot.childCount }
        }

        private final class Scratch {
            let bytes = UnsafeMutableRawBufferPointer.allocate(
                byteCount: Geometry.valueBytesMax, alignment: 8)
            deinit { bytes.deallocate() }
        }

        private let root: TreeRoot
        private let source: Source
        private let mayBlock: Bool
        private let start: [UInt8]
        private var isStarted = false
        /// From the root down.
        private var frames: [Frame] = []
        private var leafNode: BlockBuffer?
        private var leaf: LeafView?
        private var position = 0
        private var leafCount = 0
        private var scratch: Scratch?
        /// Smallest key of all messages that are still to be merged; nil: there are none.
        private var messageKey: UnsafeRawBufferPointer?

        init(root: TreeRoot, source: Source, from start: UnsafeRawBufferPointer, mayBlock: Bool) {
            self.root = root
            self.source = source
            self.mayBlock = mayBlock
            self.start = Array(start)
        }

        mutating func next() throws(ReadError) -> (
            key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer
        )? {
            if !isStarted { try begin() }
            while true {
                if let leaf, position < leafCount {
                    let key = leaf.key(position)
                    if messageKey == nil || compareKeys(key, messageKey.unsafelyUnwrapped) < 0 {
                        position += 1
                        return (key, leaf.value(position - 1))
                    }
                    if let pair = merge(leafKey: key) { return pair }
                    continue
                }
                // Behind the leaf: what its own path still holds comes before the next leaf.
                let level = frames.lastIndex { $0.hasNextChild }
                let drained = frames[((level ?? -1) + 1)...].allSatisfy { !$0.hasMessage }
                if !drained {
                    if let pair = merge(leafKey: nil) { return pair }
                    continue
                }
                guard let level else { return nil }
                try advance(level)
            }
        }

        /// Takes all messages of the smallest key, and the leaf's record where it is of that key.
        private mutating func merge(
            leafKey: UnsafeRawBufferPointer?
        ) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? {
            guard let key = messageKey else { return nil }
            var value: UnsafeRawBufferPointer?
            if let leafKey, compareKeys(leafKey, key) == 0 {
                value = leaf?.value(position)
                position += 1
            }
            let scratch = self.scratch ?? Scratch()
            self.scratch = scratch
            for index in frames.indices.reversed() {
                while frames[index].hasMessage {
                    let message = frames[index].pivot.message(frames[index].message)
                    guard compareKeys(message.key, key) == 0 else { break }
                    value = Tree.foldLeniently(message, value, scratch.bytes)
                    frames[index].message += 1
                }
            }
            findMessageKey()
            guard let value else { return nil }
            return (key, value)
        }

        private mutating func findMessageKey() {
            messageKey = nil
            for frame in frames where frame.hasMessage {
                let key = frame.pivot.messageKey(frame.message)
                if let least = messageKey, compareKeys(key, least) >= 0 { continue }
                messageKey = key
            }
        }

        private mutating func begin() throws(ReadError) {
            let start = self.start
            try start.withBytes { (key) throws(ReadError) -> Void in
                try descend(root.pointer, height: root.height, to: key)
            }
            isStarted = true
        }

        /// Goes to the next child of the frame at `level`.
        private mutating func advance(_ level: Int) throws(ReadError) {
            // Nothing changes before all reads have succeeded: a scan that may not block can be
            // given up, but not resumed in a half-made state.
            frames.removeLast(frames.count - level - 1)
            frames[level].child += 1
            let pointer = frames[level].pivot.pointer(frames[level].child)
            try descend(pointer, height: root.height - level - 1, to: nil)
        }

        /// Goes down to a leaf: to the place of `key`, or to the first.
        private mutating func descend(
            _ pointer: BlockPointer, height: Int, to key: UnsafeRawBufferPointer?
        ) throws(ReadError) {
            var pointer = pointer
            var height = height
            while height > 1 {
                let node = try source.node(pointer, mayBlock: mayBlock)
                try Tree.checkKind(node, pointer, height: height)
                let pivot = PivotView(unchecked: node.base)
                let child = key.map { max(0, pivot.childIndex(for: $0)) } ?? 0
                let message = key.map { pivot.firstMessage(notBelow: $0) } ?? 0
                frames.append(Frame(node: node, pivot: pivot, child: child, message: message))
                pointer = pivot.pointer(child)
                height -= 1
            }
            let node = try source.node(pointer, mayBlock: mayBlock)
            try Tree.checkKind(node, pointer, height: 1)
            let view = LeafView(unchecked: node.base)
            position = key.map { view.search($0).index } ?? 0
            leafCount = view.count
            leafNode = node
            leaf = view
            findMessageKey()
        }
    }
}
