import GefsFormat

/// Brings changes of files into a branch: all of them at once, or none.
///
/// Blocks belong to the history that they were written in (FORMAT 8.2), so data of other trees is
/// copied. What fits is held in memory until the change is made. The rest is staged before: as data
/// of files that have no directory entry yet; a large file that lives is replaced by a new one.
///
/// One at a time for each branch: see `Branch.transplants`.
final class Transplant {
    /// How a file gets its contents.
    private enum Way {
        /// It keeps them, or has none.
        case kept
        case inMemory
        case staged
    }

    private struct Part {
        var change: FileChange
        var way = Way.kept
        var copied = 0
        var cleared = 0
    }

    /// Blocks that are staged at a time: 1 MiB.
    private static let stagedBlocksMax = 64

    private let branch: Branch
    private let target: TreeFiles
    private let caller: Caller
    private let switchCount: UInt64
    private var parts: [Part]
    private var staged: [UInt64] = []

    /// - Parameters:
    ///   - target: the branch's tree that the changes were worked out against.
    ///   - switchCount: the branch's count from before that.
    init(
        _ changes: [FileChange], of branch: Branch, target: TreeFiles, switchCount: UInt64,
        as caller: Caller
    ) {
        self.branch = branch
        self.target = target
        self.switchCount = switchCount
        self.caller = caller
        parts = changes.map { Part(change: $0) }
    }

    /// Finds out what has to be copied.
    func measure() throws(FileError) -> TransplantReport {
        var report = TransplantReport()
        for index in parts.indices { try measure(&parts[index]) }
        // A directory whose entries change would be stamped: it is to keep its time.
        let touched = Set(parts.flatMap { $0.change.touchedDirectories })
        parts.removeAll { part in
            part.change.isWithoutEffect && !touched.contains(part.change.new?.qid ?? .max)
        }
        for part in parts where !part.change.isWithoutEffect {
            report.items += part.change.items(
                copiedBytes: UInt64(part.copied * Geometry.blockBytes))
        }
        report.items.sort { left, right in
            left.path.lexicographicallyPrecedes(right.path) { $0.lexicographicallyPrecedes($1) }
        }
        return report
    }

    private func measure(_ part: inout Part) throws(FileError) {
        var copied = 0
        var cleared = 0
        try part.change.forEachBlock(in: target) { (block) throws(FileError) -> Void in
            switch block {
            case .copied: copied += 1
            case .cleared: cleared += 1
            }
        }
        part.copied = copied
        part.cleared = cleared
        if part.change.replacesContents, copied == 0, cleared == 0,
            part.change.old?.length == part.change.new?.length
        {
            part.change.contents = nil
        }
        guard branch.volume.isPosix else { return part.change.attributes = nil }
        if let new = part.change.new, part.change.old?.qid == new.qid,
            let attributes = part.change.attributes,
            try target.hasSameAttributes(of: new.qid, as: attributes)
        {
            part.change.attributes = nil
        }
    }

    /// Makes the changes; to be called once, after `measure`.
    ///
    /// - Returns: false where the branch is no longer as it was when they were worked out. Then,
    ///   and after an error, nothing is changed, and what was staged is reclaimed.
    func run() throws(FileError) -> Bool {
        defer { branch.abandonStaging(staged) }
        try chooseWays()
        try checkSpace()
        for index in parts.indices where parts[index].way == .staged { try stage(index) }
        return try finish()
    }

    // MARK: Ways

    private func chooseWays() throws(FileError) {
        let options = branch.volume.options
        var room =
            min(options.transplantBytesMax, options.unflushedBytesMax / 2) / Geometry.blockBytes
        // A file that lives has to be copied as a whole where it does not fit.
        let order =
            parts.indices.filter { parts[$0].change.replacesContents }
            + parts.indices.filter { !parts[$0].change.replacesContents }
        for index in order where parts[index].change.contents != nil {
            try takeFreeQid(index)
            let blocks = parts[index].copied + parts[index].cleared
            if blocks <= room, try !hasMuchBeyondEnd(parts[index].change) {
                room -= blocks
                parts[index].way = .inMemory
            } else {
                if parts[index].change.replacesContents {
                    try giveFreshQid(index)
                    try measure(&parts[index])
                }
                parts[index].way = .staged
            }
        }
    }

    /// Whether so much lies beyond the end of a file that is to grow that it cannot be cleared with
    /// the change. Upstream can leave such data behind (FORMAT 7.2).
    private func hasMuchBeyondEnd(_ change: FileChange) throws(FileError) -> Bool {
        guard change.replacesContents, let old = change.old, let new = change.new,
            new.length > old.length
        else { return false }
        return try branch.volume.dataKeys(
            old.qid, from: change.cutFrom, limit: Branch.inlineClearMax, in: target.root,
            mayBlock: true
        ).hasMore
    }

    /// Sees to it that nothing is left of a file that is to come back.
    private func takeFreeQid(_ index: Int) throws(FileError) {
        let change = parts[index].change
        guard let new = change.new, !change.replacesContents, !new.isDirectory else { return }
        // A file that was removed while it was open is still read.
        if branch.lock.locked({ branch.nodes[new.qid] != nil }), change.old?.qid != new.qid {
            try giveFreshQid(index)
        } else {
            try branch.clearRemains(new.qid, as: caller)
        }
    }

    private func giveFreshQid(_ index: Int) throws(FileError) {
        parts[index].change.new?.entry.qidPath = try branch.volume.nextQid()
    }

    /// Refuses early what cannot fit.
    private func checkSpace() throws(FileError) {
        let volume = branch.volume
        let blocks = parts.reduce(0) { $0 + $1.copied }
        guard blocks > 0 else { return }
        try volume.withRoom(caller) { () throws(FileError) -> Void in
            guard volume.ledger.hasRoom(SpacePromise(dataBlocks: blocks)) else {
                throw .volumeFull
            }
        }
    }

    // MARK: Data

    private func stage(_ index: Int) throws(FileError) {
        guard let qid = parts[index].change.new?.qid else { return }
        try branch.beginStaging(qid, as: caller)
        staged.append(qid)
        var run: [(index: UInt64, pointer: BlockPointer)] = []
        let change = parts[index].change
        try change.forEachBlock(in: target) { (block) throws(FileError) -> Void in
            guard case .copied(let index, let pointer) = block else { return }
            run.append((index, pointer))
            guard run.count == Self.stagedBlocksMax else { return }
            try branch.stage(try load(run, change), of: qid, as: caller)
            run.removeAll(keepingCapacity: true)
        }
        if !run.isEmpty { try branch.stage(try load(run, change), of: qid, as: caller) }
    }

    /// Private copies of blocks, without what lies beyond the end of the file.
    private func load(
        _ run: [(index: UInt64, pointer: BlockPointer)], _ change: FileChange
    ) throws(FileError) -> [LoadedBlock] {
        let volume = branch.volume
        let length = change.new?.length ?? 0
        let sources = try volume.readData(run.map(\.pointer), mayBlock: true)
        return zip(run, sources).map { item, source in
            let copy = volume.newBuffer()
            copy.mutableBytes.copyMemory(from: source.bytes)
            let rest = length - item.index * UInt64(Geometry.blockBytes)
            if rest < UInt64(Geometry.blockBytes) { copy.clear(from: Int(rest)) }
            return LoadedBlock(index: item.index, buffer: copy)
        }
    }

    private func contents(of part: Part) throws(FileError) -> BranchChanges.Contents {
        switch part.way {
        case .kept: return .kept
        case .staged: return .staged
        case .inMemory: break
        }
        var blocks: [LoadedBlock] = []
        var cleared: [UInt64] = []
        var run: [(index: UInt64, pointer: BlockPointer)] = []
        try part.change.forEachBlock(in: target) { (block) throws(FileError) -> Void in
            switch block {
            case .copied(let index, let pointer): run.append((index, pointer))
            case .cleared(let index): cleared.append(index)
            }
            guard run.count == Self.stagedBlocksMax else { return }
            blocks += try load(run, part.change)
            run.removeAll(keepingCapacity: true)
        }
        if !run.isEmpty { blocks += try load(run, part.change) }
        return .loaded(blocks, cleared: cleared, cutFrom: part.change.cutFrom)
    }

    // MARK: The change

    private func finish() throws(FileError) -> Bool {
        var changes = BranchChanges(branch, switchCount: switchCount)
        for part in parts {
            try changes.add(part.change, try contents(of: part), in: target)
        }
        for part in parts where part.change.replacesContents {
            if let qid = part.change.old?.qid { try branch.waitForClear(qid, as: caller) }
        }
        return try branch.volume.withRoom(caller) { () throws(FileError) -> Bool in
            try changes.make(as: caller)
        }
    }
}
