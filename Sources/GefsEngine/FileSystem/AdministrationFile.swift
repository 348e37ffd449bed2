import GefsFormat

/// The files of label `adm` through which dialect N is administered. Source: FORMAT 11.
///
/// They hold no data: what is written to and read from them is the server's to carry out.
public enum AdministrationFile: String, CaseIterable, Sendable {
    /// Commands are written to it.
    case control = "ctl"
    /// Reading it gives the state of the file system.
    case status

    static let label = Array("adm".utf8)
    private static let mode: UInt32 = 0o664
    /// From here on numbers belong to no file that was created. Source: FORMAT 7.2.
    static let qidPathMin: UInt64 = 1 << 63

    var qidPath: UInt64 {
        switch self {
        case .control: Self.qidPathMin | 1
        case .status: Self.qidPathMin | 2
        }
    }

    /// As the original makes it.
    var entry: DirectoryEntry {
        DirectoryEntry(
            qidPath: qidPath, mode: Self.mode, uid: UserID.adm.rawValue, gid: UserID.adm.rawValue,
            muid: UserID.none.rawValue)
    }
}

extension FileNode {
    /// Whether the file is one of those that a server carries out.
    var isAdministrative: Bool { qidPath >= AdministrationFile.qidPathMin }
}

extension FileHandle {
    /// Which administration file of label `adm` this is; nil for every other file.
    public var administrationFile: AdministrationFile? {
        guard let node, node.isAdministrative, label == AdministrationFile.label else { return nil }
        return AdministrationFile.allCases.first { $0.qidPath == node.qidPath }
    }
}

extension FileSystem {
    /// Adds the administration files that a disk of dialect N lacks, and commits.
    ///
    /// N does so at every start, and does not start without them. A failure is no reason not to
    /// serve the rest: it is logged.
    func addAdministrationFiles() {
        do throws(FileError) {
            let caller = Caller(user: .adm, isPermissive: true)
            let root = try attach(label: AdministrationFile.label, as: caller)
            defer { close(root) }
            guard let directory = root.node else { return }
            var isChanged = false
            for file in AdministrationFile.allCases where try add(file, to: directory, caller) {
                isChanged = true
            }
            if isChanged { try volume.sync() }
        } catch {
            volume.log("the files ctl and status cannot be added to adm: \(error)")
        }
    }

    /// - Returns: whether the file was missing.
    private func add(
        _ file: AdministrationFile, to directory: FileNode, _ caller: Caller
    ) throws(FileError) -> Bool {
        let branch = directory.branch
        let key = Key.entry(parent: directory.qidPath, name: Array(file.rawValue.utf8))
        return try withRoom(caller) { () throws(FileError) -> Bool in
            try branch.update { (view: BelowView) throws(FileError) -> [UInt8]? in
                try branch.valueBelow(key, view, mayBlock: true)
            } _: { (below: [UInt8]?) throws(FileError) -> Bool in
                guard branch.valueLocked(key, below: below) == nil else { return false }
                try branch.checkWritable(directory)
                let needed = branch.promise(
                    forPutting: key, valueBytes: DirectoryEntry.posixByteCount)
                try branch.take(needed, as: caller, drawsOnReserve: false)
                branch.put(file.entry, key, isNew: true)
                return true
            }
        }
    }
}
