import GefsFormat

/// Data that is brought in before the file that it belongs to.
///
/// Blocks of a qid without a directory entry are garbage by FORMAT 7.2, which nobody sees. A record
/// of ours (`ClearJob`) says so on disk, so that they are reclaimed where the change that was to
/// show them never comes; the change takes the record away.
extension Branch {
    /// Takes away whatever is left of a qid that has no directory entry.
    func clearRemains(_ qid: UInt64, as caller: Caller) throws(FileError) {
        while true {
            try waitForClear(qid, as: caller)
            let isClear = try volume.withRoom(caller) { () throws(FileError) -> Bool in
                try update { (view: BelowView) throws(FileError) -> DataKeys in
                    try dataKeysBelow(qid, from: 0, limit: 1, view, mayBlock: caller.mayBlock)
                } _: { (keys: DataKeys) throws(FileError) -> Bool in
                    guard !keys.indices.isEmpty, clears[qid] == nil else {
                        return true
                    }
                    // What a removal in this layer took away lies below until the next flush.
                    if keys.indices.allSatisfy({ isHole(qid, $0) }) { return true }
                    try checkWritable()
                    try take(SpacePromise(keys: 1, bytes: 64), as: caller, drawsOnReserve: true)
                    startClear(qid, from: 0)
                    return false
                }
            }
            if isClear { return }
        }
    }

    /// Begins to take data for a qid of which nothing is left.
    func beginStaging(_ qid: UInt64, as caller: Caller) throws(FileError) {
        try volume.withRoom(caller) { () throws(FileError) -> Void in
            try lock.locked { () throws(FileError) -> Void in
                try checkWritable()
                let job = ClearJob(qid: qid, from: 0)
                let needed = promise(forPutting: job.key, valueBytes: job.value.count)
                try take(needed, as: caller, drawsOnReserve: false)
                put(job.key, job.value, isNew: clears[qid] == nil)
                clears[qid] = job
                staged.insert(qid)
            }
        }
    }

    /// Takes blocks for a qid that is being staged; they belong to the branch from now on. Does
    /// nothing where the branch has gone to another tree since, which has no such data.
    func stage(
        _ blocks: [LoadedBlock], of qid: UInt64, as caller: Caller
    ) throws(FileError) {
        try volume.admit(caller)
        try volume.withRoom(caller) { () throws(FileError) -> Void in
            try lock.locked { () throws(FileError) -> Void in
                try checkWritable()
                guard staged.contains(qid) else { return }
                try take(
                    promise(forData: blocks, of: qid), as: caller, drawsOnReserve: false)
                for block in blocks { dirty.insert(block.buffer, qid, block.index) }
            }
        }
    }

    /// Leaves staged data to the reclaimer.
    func abandonStaging(_ qids: some Sequence<UInt64>) {
        for qid in qids {
            let isLeft = lock.locked {
                staged.remove(qid) != nil && clears[qid] != nil
            }
            if isLeft { volume.reclaimer.add(self, qid) }
        }
    }

    /// What bringing in blocks in ascending order promises. Lock held.
    func promise(forData blocks: [LoadedBlock], of qid: UInt64) -> SpacePromise {
        var needed = SpacePromise()
        var last: UInt64?
        for block in blocks where dirty.block(qid, block.index) == nil {
            needed.dataBlocks += 1
            needed.bytes += Key.dataRecordBytes
            if last.map({ block.index != $0 + 1 }) ?? true { needed.keys += 1 }
            last = block.index
        }
        return needed
    }
}

/// A block of file data in memory of its own.
struct LoadedBlock {
    var index: UInt64
    var buffer: BlockBuffer
}
