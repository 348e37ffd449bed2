import GefsFormat

extension FileSystem {
    /// How often changes are worked out anew when others change the same files meanwhile.
    private static let transplantAttemptsMax = 8

    /// Works out changes of a branch and makes them, all at once; durable on return.
    ///
    /// - Parameters:
    ///   - isDryRun: nothing is changed.
    ///   - plan: finds the changes, given the branch's tree as of its last commit.
    /// - Throws: `.interference` where others did not let the branch rest for long enough; what
    ///   `plan` throws; `.volumeFull`. Nothing is changed then.
    func transplant(
        into label: [UInt8], isDryRun: Bool, as caller: Caller,
        _ plan: (TreeFiles) throws(FileError) -> [FileChange]
    ) throws(FileError) -> TransplantReport {
        guard caller.mayBlock else { throw .wouldBlock }
        let branch = try volume.use(label, mayBlock: true)
        defer { branch.lock.locked { branch.removeUser() } }
        guard branch.isMutable else { throw .label(.immutable, label) }
        if !isDryRun {
            try branch.lock.locked { () throws(FileError) in try branch.checkWritable() }
        }
        branch.transplants.lock()
        defer { branch.transplants.unlock() }
        for _ in 0..<Self.transplantAttemptsMax {
            let switchCount = branch.lock.locked { branch.switchCount }
            let target = TreeFiles(volume, try pin(label))
            let transplant = Transplant(
                try plan(target), of: branch, target: target, switchCount: switchCount, as: caller)
            let report = try transplant.measure()
            if isDryRun || report.items.isEmpty { return report }
            guard try transplant.run() else { continue }
            try volume.sync()
            return report
        }
        throw .interference
    }
}
