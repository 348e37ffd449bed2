import GefsFormat

/// One file in the common ancestor and in both branches; nil where it is not there.
struct FileVersions {
    var base: PlacedFile?
    var ours: PlacedFile?
    var theirs: PlacedFile?
    /// Whether the contents of a file are others than in the ancestor.
    var isChangedByUs = false
    var isChangedByThem = false
    /// Whether both have the same contents.
    var hasSameContents = true
}

/// What becomes of one file in the branch that is merged into.
struct FileMerge {
    enum Outcome {
        /// It is like this; nil: it is not there.
        case file(PlacedFile?, hasTheirContents: Bool)
        case conflict(MergeConflict.Kind)
    }

    let versions: FileVersions
    /// Whose version is taken as a whole, where that is decided.
    let preference: MergePreference?

    var outcome: Outcome {
        switch preference {
        case .ours?: return .file(versions.ours, hasTheirContents: false)
        case .theirs?: return theirs
        case nil: break
        }
        guard let base = versions.base else { return added }
        guard let theirs = versions.theirs else { return removedByThem(base) }
        guard let ours = versions.ours else {
            let isUntouched = Self.isUntouched(theirs, since: base, versions.isChangedByThem)
            return isUntouched
                ? .file(nil, hasTheirContents: false) : .conflict(.removedByBranch)
        }
        return merged(base, ours, theirs)
    }

    /// The fork's state as it is.
    private var theirs: Outcome {
        guard var file = versions.theirs else { return .file(nil, hasTheirContents: false) }
        if let ours = versions.ours { file.entry = file.entry.superseding(ours.entry) }
        return .file(file, hasTheirContents: !file.isDirectory)
    }

    /// A file that the ancestor does not have.
    private var added: Outcome {
        guard let theirs = versions.theirs else {
            return .file(versions.ours, hasTheirContents: false)
        }
        guard let ours = versions.ours else { return self.theirs }
        guard ours.isAtSamePlace(as: theirs) else { return .conflict(.renamed) }
        guard versions.hasSameContents else { return .conflict(.contents) }
        guard ours.entry.hasSameAttributes(as: theirs.entry) else {
            return .conflict(.attributes)
        }
        return .file(ours, hasTheirContents: false)
    }

    private func removedByThem(_ base: PlacedFile) -> Outcome {
        guard let ours = versions.ours else { return .file(nil, hasTheirContents: false) }
        let isUntouched = Self.isUntouched(ours, since: base, versions.isChangedByUs)
        return isUntouched ? .file(nil, hasTheirContents: false) : .conflict(.removedByFork)
    }

    private static func isUntouched(
        _ file: PlacedFile, since base: PlacedFile, _ isChanged: Bool
    ) -> Bool {
        !isChanged && file.isAtSamePlace(as: base)
            && file.entry.hasSameAttributes(as: base.entry)
    }

    // MARK: In all three

    private func merged(
        _ base: PlacedFile, _ ours: PlacedFile, _ theirs: PlacedFile
    ) -> Outcome {
        var result = ours
        if !theirs.isAtSamePlace(as: base) {
            guard ours.isAtSamePlace(as: base) || ours.isAtSamePlace(as: theirs) else {
                return .conflict(.renamed)
            }
            result.parent = theirs.parent
            result.name = theirs.name
        }
        guard let mode = Self.choose(base.entry.mode, ours.entry.mode, theirs.entry.mode),
            let uid = Self.choose(base.entry.uid, ours.entry.uid, theirs.entry.uid),
            let gid = Self.choose(base.entry.gid, ours.entry.gid, theirs.entry.gid)
        else { return .conflict(.attributes) }
        result.entry.mode = mode
        result.entry.qidType = UInt8(truncatingIfNeeded: mode >> 24)
        result.entry.uid = uid
        result.entry.gid = gid
        if versions.isChangedByUs, versions.isChangedByThem, !versions.hasSameContents {
            return .conflict(.contents)
        }
        let takesContents = versions.isChangedByThem && !versions.isChangedByUs
        if takesContents {
            result.entry.length = theirs.entry.length
            result.entry.muid = theirs.entry.muid
        }
        // Times alone are no conflict: the later one counts where both changed it.
        let times = (base.entry.modificationTime, ours.entry.modificationTime)
        let their = theirs.entry.modificationTime
        result.entry.modificationTime =
            takesContents
            ? their : Self.choose(times.0, times.1, their) ?? max(times.1, their)
        if takesContents || result != ours { result.entry = result.entry.superseding(ours.entry) }
        return .file(result, hasTheirContents: takesContents)
    }

    /// What both agree on, or the one that was changed; nil where both changed it differently.
    private static func choose<Value: Equatable>(
        _ base: Value, _ ours: Value, _ theirs: Value
    ) -> Value? {
        if ours == theirs || theirs == base { return ours }
        return ours == base ? theirs : nil
    }
}

extension DirectoryEntry {
    /// The entry as the next version of another one of the same file.
    func superseding(_ present: DirectoryEntry) -> DirectoryEntry {
        var entry = self
        entry.flags = present.flags
        entry.qidVersion = max(qidVersion, present.qidVersion) &+ 1
        return entry
    }
}
