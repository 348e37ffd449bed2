import GefsFormat

extension Volume {
    /// Writes a branch's frozen layers into its tree, oldest first. Flush thread only.
    ///
    /// Nothing of it is reachable from a superblock before the commit. When it fails, the layer
    /// stays in memory and readable, and the volume refuses changes.
    func flush(_ branch: Branch) throws(FileError) {
        reclaim()
        while let layer = branch.lock.locked({ branch.frozen.first }) {
            let generation = working(branch)
            let flush = TreeFlush(self, generation: generation)
            let old = branch.lock.locked { branch.version }
            let root: TreeRoot
            do throws(FileError) {
                root = try write(
                    layer, over: old.root, flush,
                    reachesLeaves: branch.lock.locked { branch.flattens })
            } catch {
                flush.abandon()
                throw error
            }
            ledger.noteHeight(root.height)
            publish(root, old, flush, branch, layer)
        }
    }

    private func write(
        _ layer: FrozenLayer, over root: TreeRoot, _ flush: TreeFlush, reachesLeaves: Bool
    ) throws(FileError) -> TreeRoot {
        let blocks = layer.dirty.sorted()
        let pointers = try flush.writeData(blocks)
        let batch = layer.memtable.makeBatch(
            addingData: zip(blocks, pointers).map {
                (qid: $0.qid, index: $0.index, pointer: $1)
            })
        let result: TreeRoot
        do throws(TreeError) {
            result = try Tree.apply(
                batch, to: root, target: flush, reachesLeaves: reachesLeaves)
        } catch {
            throw FileError(error)
        }
        try flush.writeQueued()
        return result
    }

    /// Makes the new root the branch's version, and sorts what the flush killed by FORMAT 8.2.
    private func publish(
        _ root: TreeRoot, _ old: TreeVersion, _ flush: TreeFlush, _ branch: Branch,
        _ layer: FrozenLayer
    ) {
        let generation = flush.generation
        let base = branch.record.base
        var change = TreeSize(referenced: flush.writtenBlocks, own: flush.writtenBlocks)
        change.referenced -= flush.killed.count
        var free: [RetiredBlock] = []
        for pointer in flush.killed {
            if pointer.generation == generation {
                // No committed superblock names it: free once nobody reads it.
                free.append(RetiredBlock(address: pointer.address, afterCommit: 0))
                retired[pointer.address] = 0
                change.own -= 1
            } else if isOwn(pointer, base) {
                if pointer.generation > base { change.own -= 1 }
                branch.kills[pointer.generation, default: []].append(pointer.address)
            }
        }
        branch.size.add(change)
        let next = TreeVersion(root: root, queue: reclaimQueue)
        old.bag.close(free, next: next.bag, holding: droppedBag)
        branch.lock.locked {
            branch.version = next
            branch.frozen.removeFirst()
        }
        ledger.release(layer.promise)
        lock.locked {
            requests.hasUncommitted = true
            noteFlushed(layer.promise)
            lock.signal()
        }
    }

    /// The generation that a branch's new blocks are born in.
    private func working(_ branch: Branch) -> Generation {
        if let generation = branch.working { return generation }
        let generation = takeGeneration()
        branch.working = generation
        return generation
    }

    func takeGeneration() -> Generation {
        let taken = nextGeneration
        nextGeneration = Generation(rawValue: taken.rawValue + 1)
        return taken
    }

    // MARK: Allocation

    /// A block for a node; from the reserve where nothing else is left.
    func allocateNode() -> BlockAddress? {
        if let address = arenas.allocateNode(useReserve: false) { return address }
        reclaim()
        return arenas.allocateNode(useReserve: false) ?? arenas.allocateNode(useReserve: true)
    }

    /// Contiguous blocks for data, at least one, at most `count`.
    func allocateRun(upTo count: Int) -> BlockRun? {
        if let run = arenas.allocateRun(upTo: count) { return run }
        reclaim()
        return arenas.allocateRun(upTo: count)
            ?? arenas.allocateRun(upTo: count, useReserve: true)
    }

    /// Gives a block back. A contradiction is a damaged disk's: it costs the block, nothing else.
    func free(_ address: BlockAddress) {
        do throws(StoreError) {
            try arenas.free(address)
        } catch {
            log("a block cannot be freed: \(error)")
        }
    }

    func isAllocated(_ address: BlockAddress) -> Bool {
        arenas.isFree(address) == false
    }

    /// Makes free what is retired, read by nobody, and in no state that a crash could bring back.
    func reclaim() {
        guard !isReclaimPaused else { return }
        let emptied = reclaimQueue.drain()
        guard !emptied.isEmpty || !waiting.isEmpty else { return }
        waiting.append(contentsOf: emptied)
        guard lock.locked({ pins == 0 }) else { return }
        let durable = durableCommit
        waiting.removeAll { block in
            guard block.afterCommit <= durable else { return false }
            // Out of the cache before it can be allocated again.
            cache.remove(block.address)
            retired[block.address] = nil
            free(block.address)
            return true
        }
    }
}

extension FileError {
    init(_ error: TreeError) {
        switch error {
        case .read(let fault): self = FileError(fault)
        case .corrupt(let block): self = .corrupt(block)
        case .volumeFull: self = .volumeFull
        case .emptyTree: self = .messageToMissingKey
        }
    }
}
