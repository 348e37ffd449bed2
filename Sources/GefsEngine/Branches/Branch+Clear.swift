import GefsFormat

/// Data of a file that is still to be cleared: all blocks from `from` on.
///
/// The job is remembered on disk under a configuration key of ours, which the original ignores, so
/// that a stop or a crash does not forget it; the key goes with the last block.
struct ClearJob: Sendable {
    var qid: UInt64
    /// First block index to clear.
    var from: UInt64

    static let keyPrefix: [UInt8] = Array("gefs.clear.".utf8)

    var key: Key {
        let digits = String(qid, radix: 16)
        let padded = String(repeating: "0", count: 16 - digits.count) + digits
        return Key.config(Self.keyPrefix + Array(padded.utf8))
    }

    var value: [UInt8] { Array(String(from).utf8) }

    init(qid: UInt64, from: UInt64) {
        self.qid = qid
        self.from = from
    }

    /// Reads a job back; nil for a key that is none of ours.
    init?(name: [UInt8], value: [UInt8]) {
        guard name.starts(with: Self.keyPrefix),
            let qid = UInt64(
                String(decoding: name[Self.keyPrefix.count...], as: UTF8.self), radix: 16),
            let from = UInt64(String(decoding: value, as: UTF8.self))
        else { return nil }
        self.init(qid: qid, from: from)
    }
}

/// Block indices of a file's data that may be present below the active layer.
struct DataKeys {
    var indices: [UInt64] = []
    /// The limit was reached before the end.
    var hasMore = false
}

extension Branch {
    /// Blocks that an operation clears itself; more go to the reclaimer.
    static let inlineClearMax = 256

    /// Data keys of a file from block `from` on, below the active layer, at most `limit`.
    ///
    /// May name keys that a frozen layer has removed already: clearing them again does no harm.
    func dataKeysBelow(
        _ qid: UInt64, from: UInt64, limit: Int, _ view: BelowView, mayBlock: Bool
    ) throws(FileError) -> DataKeys {
        var keys = try volume.dataKeys(
            qid, from: from, limit: limit, in: view.version.root, mayBlock: mayBlock)
        var extra: Set<UInt64> = []
        for layer in view.frozen {
            guard let file = layer.dirty.files[qid] else { continue }
            for index in file.blocks.keys where index >= from { extra.insert(index) }
        }
        guard !extra.isEmpty else { return keys }
        extra.formUnion(keys.indices)
        keys.indices = extra.sorted()
        if keys.indices.count > limit {
            keys.indices.removeLast(keys.indices.count - limit)
            keys.hasMore = true
        }
        return keys
    }

    /// Remembers a job. Lock held.
    func startClear(_ qid: UInt64, from: UInt64) {
        let job = ClearJob(qid: qid, from: from)
        let isNew = clears[qid] == nil
        clears[qid] = job
        put(job.key, job.value, isNew: isNew)
        if nodes[qid]?.isRemoved ?? false { return }
        volume.reclaimer.add(self, qid)
    }

    /// Clears some blocks of a job; returns whether there is nothing left to do.
    ///
    /// Called by the reclaimer, or by somebody who needs the job done.
    func clearStep(_ qid: UInt64) throws(FileError) -> Bool {
        guard let job = lock.locked({ isRetired || staged.contains(qid) ? nil : clears[qid] })
        else { return true }
        return try update { (view: BelowView) throws(FileError) -> DataKeys in
            try dataKeysBelow(
                qid, from: job.from, limit: Self.inlineClearMax, view, mayBlock: true)
        } _: { (keys: DataKeys) throws(FileError) -> Bool in
            guard let present = clears[qid], !staged.contains(qid) else { return true }
            // The job was widened by a removal meanwhile.
            guard present.from == job.from else { return false }
            try checkWritable()
            var needed = promise(forRemovingData: keys.indices.count)
            needed += promise(forPutting: job.key, valueBytes: 20)
            try take(
                needed, as: Caller(user: .none, isPermissive: true), drawsOnReserve: true)
            dropDirty(qid, from: job.from)
            removeData(qid, keys.indices)
            if keys.hasMore, let last = keys.indices.last {
                clears[qid]?.from = last + 1
                put(job.key, Array(String(last + 1).utf8), isNew: false)
                return false
            }
            clears[qid] = nil
            removeKey(job.key)
            return true
        }
    }

    /// Waits until a file has no pending clear, by doing it. That of a file without a name waits for
    /// the last who has it open.
    func waitForClear(_ qid: UInt64, as caller: Caller) throws(FileError) {
        while lock.locked({
            clears[qid] != nil && !staged.contains(qid) && !(nodes[qid]?.isRemoved ?? false)
        }) {
            guard caller.mayBlock else { throw .wouldBlock }
            _ = try volume.withRoom(caller) { () throws(FileError) -> Bool in
                try clearStep(qid)
            }
        }
    }

    /// Finds the jobs that were left on disk; called when the branch is first used for writing.
    func recoverClears() throws(FileError) {
        for (name, value) in try volume.configEntries(ClearJob.keyPrefix, in: version.root) {
            guard let job = ClearJob(name: name, value: value) else { continue }
            lock.locked { clears[job.qid] = job }
            volume.reclaimer.add(self, job.qid)
        }
    }
}
