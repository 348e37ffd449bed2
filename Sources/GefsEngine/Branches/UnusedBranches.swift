/// Open branches that may have no user: the next commit forgets those that are idle.
///
/// A branch lists itself when its last user leaves, so that a commit looks at no others.
final class UnusedBranches: @unchecked Sendable {
    private let lock = Lock()
    /// lock.
    private var branches: [ObjectIdentifier: Branch] = [:]
    /// lock.
    private var isStopped = false

    func add(_ branch: Branch) {
        lock.locked {
            if !isStopped { branches[ObjectIdentifier(branch)] = branch }
        }
    }

    /// Empties the list.
    func take() -> [Branch] {
        lock.locked {
            let all = Array(branches.values)
            branches = [:]
            return all
        }
    }

    /// No commit will come: nothing is listed any more, since branches hold the list.
    func stop() {
        let rest = lock.locked { () -> [ObjectIdentifier: Branch] in
            isStopped = true
            let rest = branches
            branches = [:]
            return rest
        }
        withExtendedLifetime(rest) {}
    }
}
