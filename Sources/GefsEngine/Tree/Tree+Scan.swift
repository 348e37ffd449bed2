import GefsFormat

extension Tree {
    /// The pairs of a tree in key order, one at a time, with buffered messages applied.
    ///
    /// Each node is read once, and nothing is allocated for a pair. The tree must stay allocated
    /// while the scan is used. One thread at a time; copies of a scan share its position.
    struct Scan<Source: NodeSource> {
        /// A pair, in the memory of nodes: valid until the next call of `next`.
        typealias Item = (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)

        private let box: ScanBox<Source>

        /// A scan in front of the first key that is not below `start`.
        ///
        /// - Parameters:
        ///   - start: at most `Geometry.posixKeyBytesMax` bytes; may be empty.
        ///   - end: the key where the scan ends, which is not part of it; nil for the tree's end.
        ///   - mayBlock: when false, `next` throws `.wouldBlock` if a node is not in memory.
        init(
            root: TreeRoot, source: Source, from start: UnsafeRawBufferPointer,
            before end: UnsafeRawBufferPointer? = nil, mayBlock: Bool
        ) {
            box = ScanBox(
                ScanState(root: root, source: source, start: start, end: end, mayBlock: mayBlock))
        }

        /// A scan over the keys that begin with `prefix`.
        ///
        /// - Parameter start: where to start among them, inclusive; nil for the first of them.
        init(
            root: TreeRoot, source: Source, prefix: UnsafeRawBufferPointer,
            from start: UnsafeRawBufferPointer? = nil, mayBlock: Bool
        ) {
            var first = prefix
            if let start, compareKeys(start, prefix) > 0 { first = start }
            var state = ScanState(
                root: root, source: source, start: first, end: nil, mayBlock: mayBlock)
            state.endBehind(prefix: prefix)
            box = ScanBox(state)
        }

        /// Whether `next` may wait for the device. After `.wouldBlock` the caller may set this and
        /// go on where the scan stopped.
        var mayBlock: Bool {
            get { box.state.pointee.mayBlock }
            nonmutating set { box.state.pointee.mayBlock = newValue }
        }

        /// The next pair; nil at the end. After an error the call may be repeated.
        @inline(__always)
        mutating func next() throws(ReadError) -> Item? {
            try box.state.pointee.next()
        }
    }
}

/// Owns the state of a scan. In raw memory, where accesses need no exclusivity checks.
private final class ScanBox<Source: NodeSource> {
    let state: UnsafeMutablePointer<ScanState<Source>>

    init(_ initial: ScanState<Source>) {
        state = .allocate(capacity: 1)
        state.initialize(to: initial)
    }

    deinit {
        state.pointee.release()
        state.deinitialize(count: 1)
        state.deallocate()
    }
}
