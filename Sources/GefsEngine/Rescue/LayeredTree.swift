import GefsFormat

/// A tree as it is put together from what is left: the tree itself and, for its gaps, older ones
/// or parts of them, the newest first.
///
/// A key is decided by the first layer that knows whether it is there. So nothing that a newer
/// layer removed comes back, but in a gap of all newer layers.
final class LayeredTree {
    /// A tree, or a part of one.
    struct Layer {
        var root: ScannedNumber
        /// The keys about which it knows: all, for the root of a tree.
        var coverage: KeySpan
        /// The newest generation in it.
        var generation: UInt64
        /// Whether it is only used since unverified nodes were asked for.
        var isUnverified = false
    }

    let found: ScannedNodes
    let layers: [Layer]

    init(_ found: ScannedNodes, _ layers: [Layer]) {
        self.found = found
        self.layers = layers
    }

    /// Reads a range, each key from the first layer that knows of it. The order is that of keys
    /// within a layer only.
    ///
    /// - Parameters:
    ///   - first: the first layer to ask.
    ///   - mayUse: whether a layer may be asked; all by default.
    ///   - record: called with the layer, the key and its value. The bytes are lent.
    /// - Returns: what no layer knows anything about.
    func read(
        _ range: KeySpan, from first: Int = 0,
        mayUse: (Int) throws(RescueError) -> Bool = { _ in true },
        _ record: (
            Int, UnsafeRawBufferPointer, UnsafeRawBufferPointer
        ) throws(RescueError) -> Void
    ) throws(RescueError) -> [KeySpan] {
        var open = [range]
        var layer = first
        while layer < layers.count, !open.isEmpty {
            defer { layer += 1 }
            let coverage = layers[layer].coverage
            let isConcerned = open.contains { !$0.intersection(coverage).isEmpty }
            guard isConcerned, try mayUse(layer) else { continue }
            var left: [KeySpan] = []
            for range in open {
                let part = range.intersection(coverage)
                guard !part.isEmpty else {
                    left.append(range)
                    continue
                }
                left += range.parts(around: part)
                var scan = GapScan(found)
                try scan.read(layers[layer].root, part) {
                    (key, value) throws(RescueError) in try record(layer, key, value)
                }
                left += scan.gaps
            }
            open = left
        }
        return open
    }

    /// The value of a key in one layer; nil where it is not there or not known.
    func value(of key: Key, in layer: Int) throws(RescueError) -> [UInt8]? {
        let part = KeySpan.only(key.bytes).intersection(layers[layer].coverage)
        var value: [UInt8]?
        var scan = GapScan(found)
        try scan.read(layers[layer].root, part) { _, bytes in value = Array(bytes) }
        return value
    }

    /// The value of a key in the first layer that knows of it.
    func value(of key: Key) throws(RescueError) -> (layer: Int, bytes: [UInt8])? {
        var value: (layer: Int, bytes: [UInt8])?
        _ = try read(.only(key.bytes)) { layer, _, bytes in value = (layer, Array(bytes)) }
        return value
    }
}
