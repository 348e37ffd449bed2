import GefsFormat

/// Holds the entries, ways up and data of a tree against each other.
///
/// Only what has changed since the last tree is looked at; the counts of orphaned data and of
/// data past the end are carried along.
struct HierarchyCheck {
    let table: HierarchyTable
    /// Data blocks past the end, for files that have some.
    private var pastEnd: [UInt64: Int] = [:]
    /// Data blocks of qids without an entry.
    private var orphans: [UInt64: Int] = [:]
    private var stamp: UInt32 = 0

    init(table: HierarchyTable) {
        self.table = table
    }

    /// Starts with an empty tree.
    mutating func reset() {
        table.reset()
        pastEnd = [:]
        orphans = [:]
    }

    /// Notes how far the data of a file really reaches.
    mutating func setDataEnd(of qid: UInt64, _ end: DataEnd) {
        table.change(qid) { slot in
            slot.lastOffset = end.lastOffset
            slot.lastCount = 1
            slot.flags &= ~HierarchyTable.Slot.unknownEnd
        }
        pastEnd[qid] = end.pastEndCount
    }

    /// What is wrong with the tree.
    mutating func conclude() -> [HierarchyFault] {
        var faults: [HierarchyFault] = []
        if table.rootCount != 1 { faults.append(.root(entryCount: table.rootCount)) }
        let firstStamp = stamp &+ 1
        for qid in table.dirty {
            guard let slot = table.slot(qid) else { continue }
            check(slot, &faults)
            let isOrphaned = slot.entryCount == 0 && slot.dataCount > 0
            orphans[qid] = isOrphaned ? Int(slot.dataCount) : nil
            if !slot.needsCount { pastEnd[qid] = nil }
            if slot.isDirectory, !reachesRoot(slot, firstStamp) {
                faults.append(.unreachable(qid: qid))
            }
        }
        table.settle()
        let isPending = table.pendingCount > 0
        let orphanCount = orphans.values.reduce(0, +)
        if orphanCount > 0 {
            faults.append(.orphanData(blockCount: orphanCount, isPending: isPending))
        }
        let pastEndCount = pastEnd.values.reduce(0, +)
        if pastEndCount > 0 {
            faults.append(.dataPastEnd(blockCount: pastEndCount, isPending: isPending))
        }
        return faults
    }

    private func check(_ slot: HierarchyTable.Slot, _ faults: inout [HierarchyFault]) {
        if slot.entryCount > 1 { faults.append(.duplicateQid(slot.qid)) }
        if slot.childCount > 0, !slot.isDirectory {
            faults.append(.noDirectory(qid: slot.qid, entryCount: Int(slot.childCount)))
        }
        if slot.isInode {
            if slot.nameCount != slot.linkCount || slot.linkHash != 0
                || Int64(slot.statedLinks) != Int64(slot.nameCount)
            {
                faults.append(
                    .links(
                        qid: slot.qid, names: Int(slot.nameCount), back: Int(slot.linkCount),
                        stated: Int(slot.statedLinks)))
            }
        } else if slot.nameCount > 0 || slot.linkCount > 0 {
            faults.append(.strayLink(qid: slot.qid))
        }
        if (slot.attributeCount > 0) != slot.hasAttributes {
            faults.append(.attributes(qid: slot.qid, parts: Int(slot.attributeCount)))
        }
        guard slot.isDirectory else {
            if slot.upCount > 0 { faults.append(.strayUp(qid: slot.qid)) }
            return
        }
        if slot.upCount == 0 || slot.upHash != slot.entryHash {
            faults.append(.up(qid: slot.qid, isMissing: slot.upCount == 0))
        }
        // 1 says that nobody has counted.
        if slot.statedLinks != 1, Int64(slot.statedLinks) != Int64(slot.directoryCount) + 2 {
            faults.append(
                .directoryLinks(
                    qid: slot.qid, directories: Int(slot.directoryCount),
                    stated: Int(slot.statedLinks)))
        }
        if slot.dataCount > 0 {
            faults.append(.directoryData(qid: slot.qid, blockCount: Int(slot.dataCount)))
        }
    }

    /// Whether the way from a directory to the root has no circle.
    ///
    /// A directory through which an earlier way has gone, as its stamp says, is not looked at
    /// again. A way that ends in something missing is no circle; that is reported elsewhere.
    private mutating func reachesRoot(
        _ directory: HierarchyTable.Slot, _ firstStamp: UInt32
    ) -> Bool {
        stamp &+= 1
        var slot = directory
        while slot.parent != .max {
            if slot.stamp == stamp { return false }
            if slot.stamp >= firstStamp { return true }
            table.change(slot.qid) { $0.stamp = stamp }
            guard let parent = table.slot(slot.parent), parent.isDirectory else { return true }
            slot = parent
        }
        return true
    }
}
