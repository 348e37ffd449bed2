import GefsFormat

/// What is known about each qid of one tree, so that entries, ways up and data can be held
/// against each other. 104 bytes a slot, of which up to two are kept for each qid.
///
/// Records can be added and taken away in any order, as long as none is taken away that is not
/// there, and what replaces another is added first. So the table can follow from tree to tree.
/// Not synchronised.
final class HierarchyTable {
    struct Slot {
        var qid: UInt64 = 0
        /// The directory that its entry is in.
        var parent: UInt64 = 0
        /// A hash of its entry's key, and of where its way up leads.
        var entryHash: UInt64 = 0
        var upHash: UInt64 = 0
        /// Length of the file.
        var length: UInt64 = 0
        /// The highest offset of its data, how often it is there, and whether that is known.
        var lastOffset: UInt64 = 0
        var lastCount: Int32 = 0
        /// Data blocks.
        var dataCount: Int32 = 0
        /// Entries in this directory.
        var childCount: Int32 = 0
        /// The way to the root that was last found to lead through here.
        var stamp: UInt32 = 0
        /// Entries and ways up with this qid: one, or damage.
        var entryCount: Int16 = 0
        var upCount: Int16 = 0
        var flags: UInt8 = 0
        /// Names of a file that has several, those that lead back from it, and how many it says.
        var nameCount: Int32 = 0
        var linkCount: Int32 = 0
        var statedLinks: UInt32 = 0
        /// Parts of extended attributes.
        var attributeCount: Int32 = 0
        /// Directories in this directory.
        var directoryCount: Int32 = 0
        /// 0 where the names are those that lead back.
        var linkHash: UInt64 = 0

        static let used: UInt8 = 1
        static let directory: UInt8 = 2
        /// Changed since the table was last looked through.
        static let dirty: UInt8 = 4
        /// The highest offset of its data is not known.
        static let unknownEnd: UInt8 = 8
        /// Its entry is that of a file with several names.
        static let inode: UInt8 = 16
        /// Its entry says that it has extended attributes.
        static let attributes: UInt8 = 32

        /// What an entry says of the file itself.
        mutating func note(_ entry: DirectoryEntry, length: UInt64) {
            self.length = length
            statedLinks = entry.posix?.linkCount ?? 1
            flags &= ~(Self.directory | Self.inode | Self.attributes)
            if entry.isDirectory { flags |= Self.directory }
            if entry.posix?.hasAttributes ?? false { flags |= Self.attributes }
        }

        var isUsed: Bool { flags & Self.used != 0 }
        /// Whether it has an entry of its own for several names.
        var isInode: Bool { entryCount > 0 && flags & Self.inode != 0 }
        /// Whether it has an entry that says that there are extended attributes.
        var hasAttributes: Bool { entryCount > 0 && flags & Self.attributes != 0 }
        /// Whether it has an entry, and is a directory by it.
        var isDirectory: Bool { entryCount > 0 && flags & Self.directory != 0 }
        var isEmpty: Bool {
            entryCount == 0 && upCount == 0 && dataCount == 0 && childCount == 0
                && nameCount == 0 && linkCount == 0 && attributeCount == 0
        }
        /// Whether only a look at its data can tell if some is past the end.
        var needsCount: Bool {
            entryCount > 0 && !isDirectory && dataCount > 0
                && (flags & Self.unknownEnd != 0 || lastOffset >= length)
        }
    }

    private var slots: UnsafeMutablePointer<Slot>
    private var capacity: Int
    private var usedCount = 0
    /// Qids whose slots have changed.
    private(set) var dirty: ContiguousArray<UInt64> = []
    /// Entries at the place of the root.
    private(set) var rootCount = 0
    /// Settings that say what is still to be reclaimed.
    var pendingCount = 0

    private static let capacityMin = 1024

    init() {
        capacity = Self.capacityMin
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: Slot(), count: capacity)
    }

    deinit {
        slots.deallocate()
    }

    /// Forgets everything.
    func reset() {
        slots.update(repeating: Slot(), count: capacity)
        usedCount = 0
        dirty.removeAll(keepingCapacity: true)
        rootCount = 0
        pendingCount = 0
    }

    /// Forgets that anything has changed.
    func settle() {
        for qid in dirty { change(qid) { $0.flags &= ~Slot.dirty } }
        dirty.removeAll(keepingCapacity: true)
    }

    // MARK: records

    func add(data qid: UInt64, offset: UInt64) {
        touch(qid) { slot in
            if slot.dataCount == 0 || offset > slot.lastOffset {
                slot.lastOffset = offset
                slot.lastCount = 1
                if slot.dataCount == 0 { slot.flags &= ~Slot.unknownEnd }
            } else if offset == slot.lastOffset {
                slot.lastCount &+= 1
            }
            slot.dataCount &+= 1
        }
    }

    func remove(data qid: UInt64, offset: UInt64) {
        touch(qid) { slot in
            slot.dataCount &-= 1
            guard offset == slot.lastOffset else { return }
            slot.lastCount &-= 1
            if slot.lastCount == 0 { slot.flags |= Slot.unknownEnd }
        }
    }

    func add(entry: DirectoryEntry, parent: UInt64, length: UInt64, keyHash: UInt64) {
        touch(entry.qidPath) { slot in
            slot.entryCount &+= 1
            slot.parent = parent
            slot.entryHash = keyHash
            slot.note(entry, length: length)
        }
        countChild(of: parent, by: 1, isDirectory: entry.isDirectory)
    }

    /// The entry of a file that has several names.
    func add(inode qid: UInt64, _ entry: DirectoryEntry, length: UInt64) {
        touch(qid) { slot in
            slot.entryCount &+= 1
            slot.note(entry, length: length)
            slot.flags |= Slot.inode
        }
    }

    func remove(inode qid: UInt64) {
        touch(qid) { $0.entryCount &-= 1 }
    }

    /// One of several names of a file.
    func count(name qid: UInt64, in parent: UInt64, entryHash: UInt64, by change: Int32) {
        touch(qid) { slot in
            slot.nameCount &+= change
            slot.linkHash ^= entryHash
        }
        countChild(of: parent, by: change)
    }

    /// What leads from a file back to one of its names.
    func count(link qid: UInt64, entryHash: UInt64, by change: Int32) {
        touch(qid) { slot in
            slot.linkCount &+= change
            slot.linkHash ^= entryHash
        }
    }

    func count(attribute qid: UInt64, by change: Int32) {
        touch(qid) { $0.attributeCount &+= change }
    }

    func remove(entry: DirectoryEntry, parent: UInt64) {
        touch(entry.qidPath) { $0.entryCount &-= 1 }
        countChild(of: parent, by: -1, isDirectory: entry.isDirectory)
    }

    private func countChild(of parent: UInt64, by change: Int32, isDirectory: Bool = false) {
        if parent == .max {
            rootCount += Int(change)
        } else {
            touch(parent) { slot in
                slot.childCount &+= change
                if isDirectory { slot.directoryCount &+= change }
            }
        }
    }

    func add(up qid: UInt64, targetHash: UInt64) {
        touch(qid) { slot in
            slot.upCount &+= 1
            slot.upHash = targetHash
        }
    }

    func remove(up qid: UInt64) {
        touch(qid) { $0.upCount &-= 1 }
    }

    // MARK: slots

    /// The slot of a qid as it is.
    func slot(_ qid: UInt64) -> Slot? {
        let slot = slots[place(of: qid)]
        return slot.isUsed ? slot : nil
    }

    /// Changes a slot without noting that it is changed.
    func change(_ qid: UInt64, _ body: (inout Slot) -> Void) {
        let place = place(of: qid)
        if slots[place].isUsed { body(&slots[place]) }
    }

    @inline(__always)
    private func touch(_ qid: UInt64, _ body: (inout Slot) -> Void) {
        var place = place(of: qid)
        if !slots[place].isUsed {
            if usedCount * 4 >= capacity * 3 {
                rehash()
                place = self.place(of: qid)
            }
            usedCount += 1
            slots[place].qid = qid
            slots[place].flags = Slot.used
        }
        body(&slots[place])
        if slots[place].flags & Slot.dirty == 0 {
            slots[place].flags |= Slot.dirty
            dirty.append(qid)
        }
    }

    /// Where the slot of a qid is, or has to be put.
    @inline(__always)
    private func place(of qid: UInt64) -> Int {
        let mask = capacity &- 1
        var place = Int(truncatingIfNeeded: (qid &* 0x9e37_79b9_7f4a_7c15) &>> 20) & mask
        while slots[place].isUsed, slots[place].qid != qid { place = (place &+ 1) & mask }
        return place
    }

    /// Drops slots that say nothing, and makes room if there are few of them.
    private func rehash() {
        let old = UnsafeMutableBufferPointer(start: slots, count: capacity)
        var kept = 0
        for slot in old where slot.isUsed && (!slot.isEmpty || slot.flags & Slot.dirty != 0) {
            kept += 1
        }
        if kept * 2 >= capacity { capacity *= 2 }
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: Slot(), count: capacity)
        for slot in old where slot.isUsed && (!slot.isEmpty || slot.flags & Slot.dirty != 0) {
            slots[place(of: slot.qid)] = slot
        }
        usedCount = kept
        old.deallocate()
    }
}
