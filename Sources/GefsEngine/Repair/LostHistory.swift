import GefsFormat

/// What takes the place of the snapshot tree where its root is lost: the newest one that is there,
/// and a label for each tree that was made since.
///
/// What a commit replaces stays on the disk until a later one writes over it. The nodes of the
/// snapshot tree say by themselves what they were: roots of trees by address and hash, labels,
/// links. Which of them came last is told by the list of what was pending, or else by the files below
/// (`TreeAges`). What is in use by the logs, not pending, and not in that state was part of the last
/// commit (FORMAT 8.5): if no node names it, it is the root of a tree, or a part whose upper nodes
/// are lost. It gets a label; which branch it was of is not guessed. Where logs or the list are
/// lost as well, what is newer than the state that was found gets a label.
struct LostHistory {
    /// A tree that the earlier state does not know, or a part of one.
    struct Stray {
        var root: TreeRoot
        /// The snapshot that it shares most with.
        var base: Generation
        /// Whether it was put together from parts, between which names of files may be lost.
        var isPatched: Bool
    }

    /// What the superblock that leads nowhere says beside that.
    enum Knowledge {
        /// Which numbers are taken, and what was pending.
        case all
        /// Which numbers are taken (`LostSuperblock.standIn`).
        case numbers
        /// Neither.
        case none
    }

    /// The step that makes the earlier snapshot tree the valid one.
    let round: RepairRound
    /// What keeps what is known until a snapshot tree is valid again.
    let standIn: Superblock
    let strays: [Stray]
    /// Blocks that nothing is written to: should the repair be cut off they are needed again.
    let spared: Set<Int>
    /// Nil where it is the tree of the last commit, and nothing is lost.
    let note: RepairNote?

    /// - Parameters:
    ///   - knowledge: of the superblock.
    ///   - rival: the root of a snapshot tree that is given up only for a newer one.
    /// - Returns: nil where the root is there, or nothing is left that could take its place.
    init?(
        _ device: any BlockDevice, _ knowledge: Knowledge, rival: BlockPointer? = nil,
        progress: Checker.ProgressHandler?
    ) {
        guard let source = ClosedDevice(device, log: FindingLog(perKindMax: 1)) else { return nil }
        let nodes = RepairNodes(device, tried: [])
        let isMadeAnew = knowledge != .all
        guard isMadeAnew || Self.isLost(source.superblock.snapshotTreeRoot, nodes),
            let search = LostHistorySearch(device, source, nodes, knowledge, progress)
        else { return nil }
        let found = search.earlierTree(newerThan: rival)
        if rival != nil, found == nil { return nil }
        var superblock = source.superblock
        if knowledge == .none { search.count(into: &superblock) }
        standIn = LostSuperblock.standIn(for: superblock, knowsPending: knowledge == .all)
        let isLast = found?.isLast ?? false
        let left: LostHistorySearch.Left?
        do throws(RepairError) {
            left =
                isMadeAnew && isLast
                ? nil
                : try search.left(
                    beside: found ?? EarlierTree(), nextGeneration: superblock.nextGeneration)
        } catch {
            return nil
        }
        guard let root = left?.root ?? found?.root else { return nil }
        strays = left?.strays ?? []
        spared = search.lists
        superblock.snapshotTreeRoot = root.pointer
        superblock.snapshotTreeHeight = UInt32(root.height)
        // What was to be freed is in part what the earlier state needs.
        superblock.pendingHead = .none
        superblock.pendingTail = .none
        var round = RepairRound()
        round.body = nodes.writes
        round.putSuperblocks(superblock, deviceBytes: source.deviceBytes)
        self.round = round
        note = left.map { left in
            found == nil
                ? Self.noteWithoutTree(left)
                : Self.note(left, isMadeAnew: isMadeAnew, isLast: isLast)
        }
    }

    private static func noteWithoutTree(_ left: LostHistorySearch.Left) -> RepairNote {
        RepairNote(
            .lost, "tree",
            "nothing is left of the snapshot tree: labels, snapshots and settings are lost; "
                + "\(left.strays.count) trees get labels" + more(left))
    }

    private static func note(
        _ left: LostHistorySearch.Left, isMadeAnew: Bool, isLast: Bool
    ) -> RepairNote {
        var text =
            isMadeAnew
            ? "labels, snapshots and settings are those of the newest snapshot tree that is there, "
                + "perhaps not the last"
            : "the root of the snapshot tree cannot be read: labels, snapshots and settings are "
                + "those of \(isLast ? "the" : "some") commit before"
        text +=
            left.strays.isEmpty
            ? "; no tree made since is left" : "; \(left.strays.count) trees made since get labels"
        return RepairNote(.lost, "tree", text + more(left))
    }

    private static func more(_ left: LostHistorySearch.Left) -> String {
        var text = ""
        if left.leftOut > 0 {
            text += "; \(left.leftOut) more that may be older are left out, see gefs rescue"
        }
        if left.unknownBlocks > 0 {
            text += "; \(left.unknownBlocks) blocks in use are of nothing that is there"
        }
        return text
    }

    /// Whether the root of a snapshot tree cannot be read.
    static func isLost(_ root: BlockPointer, _ nodes: RepairNodes) -> Bool {
        if case .lost = nodes.node(root) { true } else { false }
    }
}
