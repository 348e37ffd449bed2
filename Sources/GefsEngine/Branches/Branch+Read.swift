import GefsFormat

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Blocks of one read that have not been found yet: runs of block indices.
private struct MissingRuns {
    var runs: [Range<UInt64>] = []

    mutating func add(_ index: UInt64) {
        if let last = runs.last, last.upperBound == index {
            runs[runs.count - 1] = last.lowerBound..<(index + 1)
        } else {
            runs.append(index..<(index + 1))
        }
    }
}

/// The bytes of a file that a read wants, and where they go.
private struct ReadWindow {
    let offset: UInt64
    let output: UnsafeMutableRawBufferPointer

    var firstBlock: UInt64 { offset / UInt64(Geometry.blockBytes) }
    var endBlock: UInt64 {
        (offset + UInt64(output.count) - 1) / UInt64(Geometry.blockBytes) + 1
    }

    /// Whether some block is wanted as a whole, as far as a file of `length` bytes goes.
    func hasWholeBlock(ofLength length: UInt64) -> Bool {
        let block = UInt64(Geometry.blockBytes)
        let (start, end) = ((offset + block - 1) / block * block, offset + UInt64(output.count))
        return start < end && end >= min(start + block, length)
    }

    /// Copies what the window wants of block `index`; zeros where `block` is nil.
    func fill(_ index: UInt64, from block: UnsafeRawPointer?) {
        let start = index * UInt64(Geometry.blockBytes)
        let low = max(start, offset)
        let high = min(start + UInt64(Geometry.blockBytes), offset + UInt64(output.count))
        guard let base = output.baseAddress, low < high else { return }
        let target = base + Int(low - offset)
        if let block {
            memcpy(target, block + Int(low - start), Int(high - low))
        } else {
            memset(target, 0, Int(high - low))
        }
    }
}

extension Branch {
    /// Reads from a file; the bytes are those of one instant.
    ///
    /// Returns how many bytes there were: fewer than asked for at the end of the file.
    func read(
        _ node: FileNode, at offset: UInt64, into output: UnsafeMutableRawBufferPointer,
        as caller: Caller
    ) throws(FileError) -> Int {
        lock.lock()
        if node.isLost {
            lock.unlock()
            throw .removed
        }
        let length = UInt64(bitPattern: node.entry.length)
        guard offset < length, output.count > 0 else {
            lock.unlock()
            return 0
        }
        let count = Int(min(UInt64(output.count), length - offset))
        let window = ReadWindow(
            offset: offset, output: UnsafeMutableRawBufferPointer(rebasing: output[..<count]))
        let qid = node.qidPath
        var missing = [window.firstBlock..<window.endBlock]
        if dirty.hasFile(qid) || dataRemovals > 0 {
            missing = fill(window, missing, qid, dirty, active, dataRemovals)
        }
        let view = below
        lock.unlock()

        for layer in view.frozen.reversed() where !missing.isEmpty {
            if layer.dirty.hasFile(qid) || layer.dataRemovals > 0 {
                missing = fill(
                    window, missing, qid, layer.dirty, layer.memtable, layer.dataRemovals)
            }
        }
        // Of a block that is read in parts, the next part is read soon.
        let caches = !caller.cachesContents || !window.hasWholeBlock(ofLength: length)
        for run in missing {
            try readTree(
                window, run, qid, view.version.root, mayBlock: caller.mayBlock, caches: caches)
        }
        return count
    }

    /// Takes from one layer what it has; returns what it does not know.
    private func fill(
        _ window: ReadWindow, _ wanted: [Range<UInt64>], _ qid: UInt64,
        _ dirty: DirtyData, _ memtable: Memtable, _ dataRemovals: Int
    ) -> [Range<UInt64>] {
        var missing = MissingRuns()
        for run in wanted {
            for index in run {
                if let buffer = dirty.block(qid, index) {
                    window.fill(index, from: UnsafeRawPointer(buffer.base))
                } else if dataRemovals > 0, memtable.hasRemoved(Key.data(qid, block: index)) {
                    window.fill(index, from: nil)
                } else {
                    missing.add(index)
                }
            }
        }
        return missing.runs
    }

    private func readTree(
        _ window: ReadWindow, _ run: Range<UInt64>, _ qid: UInt64, _ root: TreeRoot, mayBlock: Bool,
        caches: Bool
    ) throws(FileError) {
        let pointers = try volume.dataPointers(qid, run, in: root, mayBlock: mayBlock)
        var present: [BlockPointer] = []
        present.reserveCapacity(pointers.count)
        for pointer in pointers where !pointer.address.isNone { present.append(pointer) }
        let blocks = try volume.readData(present, mayBlock: mayBlock, caches: caches)
        var next = 0
        for (position, pointer) in pointers.enumerated() {
            let index = run.lowerBound + UInt64(position)
            if pointer.address.isNone {
                window.fill(index, from: nil)
            } else {
                window.fill(index, from: UnsafeRawPointer(blocks[next].base))
                next += 1
            }
        }
    }

    /// A private copy of one block as it lies below the active layer; nil for a hole.
    func blockBelow(
        _ qid: UInt64, _ index: UInt64, _ view: BelowView, mayBlock: Bool
    ) throws(FileError) -> BlockBuffer? {
        for layer in view.frozen.reversed() {
            if let buffer = layer.dirty.block(qid, index) { return buffer }
            if layer.dataRemovals > 0, layer.memtable.hasRemoved(Key.data(qid, block: index)) {
                return nil
            }
        }
        let pointers = try volume.dataPointers(
            qid, index..<(index + 1), in: view.version.root, mayBlock: mayBlock)
        guard let pointer = pointers.first, !pointer.address.isNone else { return nil }
        // It is read to be replaced: what is kept is the block that comes in its place.
        return try volume.readData([pointer], mayBlock: mayBlock, caches: false).first
    }
}

extension Memtable {
    /// Whether the key is held as removed.
    func hasRemoved(_ key: Key) -> Bool {
        if case .removed = key.withBytes({ lookup($0) }) { return true }
        return false
    }
}

extension Key {
    /// Key of a block of file data by its index.
    static func data(_ qid: UInt64, block index: UInt64) -> Key {
        Key.data(qid, offset: index &* UInt64(Geometry.blockBytes))
    }
}
