extension Volume {
    /// Notes that somebody attached to a branch: from now on the schedule looks at it.
    ///
    /// What the file system itself reads, and what only compares trees, does not count. Source:
    /// SEMANTICS 8.3.
    func noteUse(of label: [UInt8]) {
        guard history.label(label)?.isMutable ?? false else { return }
        lock.locked { _ = usedLabels.insert(label) }
    }
}
