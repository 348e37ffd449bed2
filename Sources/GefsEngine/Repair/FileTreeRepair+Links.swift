import GefsFormat

/// Names of files that have several, attributes, and what directories count. Source: Docs/FORMAT.md 12.
extension FileTreeRepair {
    /// Files with several names, of which those stay that are in the tree, and attributes.
    mutating func mendLinks(_ reached: inout Set<UInt64>) {
        let inodes = entries.filter { $0.value.key == Key.inode($0.key) }.keys
        for qid in links.files.union(inodes).sorted() {
            let inode = inodes.contains(qid) ? entries[qid] : nil
            let (kept, changes) = links.mended(qid, hasInode: inode != nil) { [entries] in
                reached.contains($0) && entries[$0]?.isDirectory ?? false
            }
            edits.merge(changes) { _, new in new }
            if inode == nil {
                for name in links.names[qid] ?? [] {
                    notes.append(
                        RepairNote(
                            .lost, "entry", "\(name.key.outline) names a file that is not there",
                            labels: labels))
                }
            }
            guard var inode, let first = kept.first else { continue }
            reached.insert(qid)
            (inode.parent, inode.name) = (first.parent, first.name)
            if inode.value.posix?.linkCount != UInt32(kept.count) {
                inode.value.posix?.linkCount = UInt32(kept.count)
                edits[inode.key] = inode.value.encoded()
                note(.mended, "file", "it has \(kept.count) names, and says so", qid)
            }
            entries[qid] = inode
        }
        for (qid, keys) in links.dropIncompleteAttributes().sorted(by: { $0.key < $1.key }) {
            for key in keys { edits[key] = .some(nil) }
            note(.lost, "file", "an extended attribute of which a part is missing goes", qid)
        }
        for (qid, entry) in entries
        where links.hasAttributes(qid) != entry.value.posix?.hasAttributes ?? false {
            var entry = entry
            entry.value.posix =
                entry.value.posix
                ?? DirectoryEntry.Posix(changeTime: entry.value.modificationTime)
            entry.value.posix?.hasAttributes = links.hasAttributes(qid)
            entries[qid] = entry
            edits[entry.key] = entry.value.encoded()
            note(.mended, "file", "whether it has extended attributes is put right", qid)
        }
        countDirectories()
        for key in links.orphanAttributes(exists: { entries[$0] != nil }) {
            edits[key] = .some(nil)
        }
    }

    /// Directories that state another number of links than they have: they are not counted any more.
    private mutating func countDirectories() {
        var counts: [UInt64: UInt32] = [:]
        for entry in entries.values where entry.isDirectory {
            counts[entry.parent, default: 2] += 1
        }
        for (qid, entry) in entries where entry.isDirectory {
            guard let stated = entry.value.posix?.linkCount, stated != 1,
                stated != counts[qid] ?? 2
            else { continue }
            var entry = entry
            entry.value.posix?.linkCount = 1
            entries[qid] = entry
            edits[entry.key] = entry.value.encoded()
        }
    }
}
