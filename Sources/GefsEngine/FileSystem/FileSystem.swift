import GefsFormat

/// The file service of one open volume: what 9P and FUSE front ends call.
///
/// Every operation may be called from any thread and blocks until it is done, unless its caller
/// may not block: then it throws `FileError.wouldBlock` before any effect. A change is seen by
/// everybody when the call returns, wholly or not at all, and is durable after the next commit;
/// the commits' order is the order of the changes.
public final class FileSystem: @unchecked Sendable {
    let volume: Volume

    /// Guards the users table.
    private let lock = Lock()
    private var table: UserTable

    private init(volume: Volume, users: UserTable) {
        self.volume = volume
        table = users
    }

    // MARK: Life

    /// Opens a device: loads the last commit, repairs stale copies unless read-only, and starts
    /// the threads that write.
    ///
    /// - Throws: `.corrupt` or `.device` where no whole commit can be found; `.badUsersFile`
    ///   unless the volume is opened permissively.
    public static func open(
        _ device: any BlockDevice, options: VolumeOptions = VolumeOptions()
    ) throws(FileError) -> FileSystem {
        let volume = try Volume.open(device, options: options)
        try volume.start()
        let fileSystem = FileSystem(volume: volume, users: .fallback)
        do throws(FileError) {
            try fileSystem.reloadUsers()
        } catch {
            guard options.isPermissive else {
                volume.stop()
                throw error
            }
            volume.log("users file replaced by a default: \(error)")
        }
        if volume.dialect == .n, !volume.isReadOnly { fileSystem.addAdministrationFiles() }
        return fileSystem
    }

    /// Finishes pending reclaims, commits, and closes the device. Handles are of no use after.
    ///
    /// - Throws: what kept the last changes from becoming durable.
    public func close() throws(FileError) {
        defer { volume.stop() }
        volume.scrubber.finish()
        volume.scheduler.finish()
        volume.reclaimer.finish()
        try volume.sync()
        try volume.saveUnlisted()
    }

    /// Returns when everything acknowledged before the call is durable. Callers that wait at the
    /// same time share a commit: two device flushes.
    public func sync(as caller: Caller) throws(FileError) {
        if volume.isReadOnly { return }
        guard caller.mayBlock else { throw .wouldBlock }
        try volume.sync()
    }

    /// Waits until the data of removed files is reclaimed.
    public func drainReclaims() {
        volume.reclaimer.drain()
    }

    /// Waits until nothing goes on by itself: reclaims are done, and so is all that the last commit
    /// left to the next ones. Makes a volume with one user deterministic.
    package func settle() throws(FileError) {
        guard !volume.isReadOnly else { return }
        volume.reclaimer.drain()
        while try volume.onFlushThread({ $0.hasLeftovers }) {}
    }

    /// Ends the threads and closes the device without a commit, as a crash would.
    package func abandon() {
        volume.stop()
    }

    public var isReadOnly: Bool {
        volume.isReadOnly || failure != nil
    }

    /// Why the volume refuses changes, where something failed.
    public var failure: FileError? {
        volume.lock.locked { volume.failure }
    }

    public var device: any BlockDevice { volume.device }

    /// What was noticed and repaired when the volume was opened.
    public var openNotes: [String] { volume.openNotes }

    // MARK: Labels

    /// All labels, in label order.
    public func labels() throws(FileError) -> [LabelInfo] {
        labels(after: nil, limit: .max)
    }

    /// At most `limit` labels behind a name.
    func labels(after last: [UInt8]?, limit: Int) -> [LabelInfo] {
        volume.history.labels(after: last, limit: limit).map {
            LabelInfo(
                name: $0.name, generation: $0.record.generation.rawValue,
                isMutable: $0.record.isMutable, time: $0.time)
        }
    }

    /// Changes labels: all of the changes or none, in order, in one commit; durable on return.
    ///
    /// What a snapshot or a fork contains is all that was acknowledged before the call, and nothing
    /// that is asked for after its return.
    /// - Throws: `.label` with the reason and the name where one of them is refused; `.readOnly`;
    ///   `.wouldBlock`.
    public func change(
        _ changes: [HistoryChange], as caller: Caller
    ) throws(FileError) {
        try volume.checkWritable()
        guard caller.mayBlock else { throw .wouldBlock }
        try volume.change(changes)
    }

    /// Waits until what deleted labels held is free. Deletion itself does not wait for that; what is
    /// left when the volume is closed goes on when it is opened again.
    ///
    /// - Parameter goesOn: asked between commits whether to wait any longer.
    public func drainHistory(while goesOn: () -> Bool = { true }) throws(FileError) {
        try volume.drainHistory(while: goesOn)
    }

    /// Branches that somebody has attached to since the volume was opened.
    public var usedBranches: [[UInt8]] {
        volume.lock.locked { volume.usedLabels.sorted { $0.lexicographicallyPrecedes($1) } }
    }

    // MARK: Users

    /// The users as of the last load.
    public var users: UserTable {
        lock.locked { table }
    }

    /// From now on these are the users.
    func use(_ users: UserTable) {
        lock.locked { table = users }
        // Kernels have been told of owners by the old ones.
        for branch in volume.lock.locked({ Array(volume.branches.values) }) {
            branch.lock.locked { branch.tell(.users, as: Caller(user: .none)) }
        }
    }

    // MARK: Status

    /// What stat tells of a file; needs no permission.
    public func status(_ handle: FileHandle, as caller: Caller) throws(FileError) -> FileStatus {
        guard let node = handle.node else { return Dump.status }
        return try node.branch.lock.locked { () throws(FileError) -> FileStatus in
            if node.isRemoved, node.isLost || !handle.isOpen { throw .removed }
            let entry = node.entry
            return FileStatus(
                qid: node.qid, mode: entry.mode, accessTime: entry.accessTime,
                modificationTime: entry.modificationTime,
                length: node.isDirectory ? 0 : UInt64(bitPattern: entry.length),
                name: handle.currentPlace?.name ?? [UInt8(ascii: "/")],
                owner: UserID(rawValue: entry.uid), group: UserID(rawValue: entry.gid),
                lastModifier: UserID(rawValue: entry.muid))
        }
    }

    /// Whether every change may use the reserve that is kept for deletions and commits; until the
    /// volume is closed. Source: SEMANTICS 9, `reserve`.
    public var isReserveOpen: Bool {
        get { volume.ledger.isReserveOpen }
        set { volume.ledger.isReserveOpen = newValue }
    }
}
