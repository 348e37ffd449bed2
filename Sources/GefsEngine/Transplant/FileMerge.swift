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
    /// Whether the extended attributes of a file are others than in the ancestor.
    var areAttributesChangedByUs = false
    var areAttributesChangedByThem = false
    /// Whether both have the same extended attributes.
    var hasSameAttributes = true
}

/// What becomes of one file in the branch that is merged into.
struct FileMerge {
    enum Outcome {
        /// It is like this; nil: it is not there.
        case file(PlacedFile?, hasTheirContents: Bool, hasTheirAttributes: Bool)
        case conflict(MergeConflict.Kind)
    }

    let versions: FileVersions
    /// Whose version is taken as a whole, where that is decided.
    let preference: MergePreference?

    var outcome: Outcome {
        switch preference {
        case .ours?: return ours
        case .theirs?: return theirs
        case nil: break
        }
        guard let base = versions.base else { return added }
        guard let theirs = versions.theirs else { return removedByThem(base) }
        guard let ours = versions.ours else {
            let isUntouched = Self.isUntouched(
                theirs, since: base,
                versions.isChangedByThem || versions.areAttributesChangedByThem)
            return isUntouched ? Self.gone : .conflict(.removedByBranch)
        }
        return merged(base, ours, theirs)
    }

    private static var gone: Outcome {
        .file(nil, hasTheirContents: false, hasTheirAttributes: false)
    }

    /// The branch's state as it is.
    private var ours: Outcome {
        .file(versions.ours, hasTheirContents: false, hasTheirAttributes: false)
    }

    /// The fork's state as it is.
    private var theirs: Outcome {
        guard var file = versions.theirs else { return Self.gone }
        if let ours = versions.ours {
            file.entry = file.entry.superseding(ours.entry)
            if ours.isLinked { file = file.linked }
        }
        return .file(
            file, hasTheirContents: !file.isDirectory, hasTheirAttributes: true)
    }

    /// A file that the ancestor does not have.
    private var added: Outcome {
        guard let theirs = versions.theirs else { return self.ours }
        guard let ours = versions.ours else { return self.theirs }
        guard ours.isAtSamePlace(as: theirs) else { return .conflict(.renamed) }
        guard versions.hasSameContents else { return .conflict(.contents) }
        guard ours.entry.hasSameAttributes(as: theirs.entry), versions.hasSameAttributes else {
            return .conflict(.attributes)
        }
        return self.ours
    }

    private func removedByThem(_ base: PlacedFile) -> Outcome {
        guard let ours = versions.ours else { return Self.gone }
        let isUntouched = Self.isUntouched(
            ours, since: base, versions.isChangedByUs || versions.areAttributesChangedByUs)
        return isUntouched ? Self.gone : .conflict(.removedByFork)
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
        guard let places = mergedPlaces(base, ours, theirs) else { return .conflict(.renamed) }
        guard var result = (theirs.isLinked ? ours.linked : ours).placed(at: places) else {
            return .conflict(.removedByFork)
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
        if versions.areAttributesChangedByUs, versions.areAttributesChangedByThem,
            !versions.hasSameAttributes
        {
            return .conflict(.attributes)
        }
        let takesContents = versions.isChangedByThem && !versions.isChangedByUs
        let takesAttributes =
            versions.areAttributesChangedByThem && !versions.areAttributesChangedByUs
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
        if takesContents || takesAttributes || result != ours {
            result.entry = result.entry.superseding(ours.entry)
        }
        return .file(
            result, hasTheirContents: takesContents, hasTheirAttributes: takesAttributes)
    }

    /// The names of a file; nil where both gave it another one. Names of a file that has several are
    /// merged each by itself: one that either added is there, one that either removed is not. None
    /// is left where each removed what the other one kept.
    private func mergedPlaces(
        _ base: PlacedFile, _ ours: PlacedFile, _ theirs: PlacedFile
    ) -> Set<FileName.Place>? {
        if base.isLinked || ours.isLinked || theirs.isLinked {
            return ours.places.subtracting(base.places.subtracting(theirs.places))
                .union(theirs.places.subtracting(base.places))
        }
        if theirs.isAtSamePlace(as: base) { return ours.places }
        guard ours.isAtSamePlace(as: base) || ours.isAtSamePlace(as: theirs) else { return nil }
        return theirs.places
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
