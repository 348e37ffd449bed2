/// The branches that hold what is in no commit yet.
///
/// A branch lists itself before the first effect of a change, with its own lock held.
final class ChangedBranches: @unchecked Sendable {
    private let lock = Lock()
    /// lock.
    private var branches: [ObjectIdentifier: Branch] = [:]

    func add(_ branch: Branch) {
        lock.locked { branches[ObjectIdentifier(branch)] = branch }
    }

    var isEmpty: Bool { lock.locked { branches.isEmpty } }

    /// All of them, in a fixed order.
    var all: [Branch] {
        lock.locked { branches.sorted { $0.key < $1.key }.map(\.value) }
    }

    /// Empties the list and closes the active layers of all branches on it at one instant: a change
    /// that was acknowledged before any of those that are left out is in. Flush thread only.
    func freezeAll() -> [Branch] {
        while true {
            let listed = all
            for branch in listed { branch.lock.lock() }
            defer { for branch in listed { branch.lock.unlock() } }
            // Who lists itself now waits for this lock, and has not changed anything yet.
            let isComplete = lock.locked { () -> Bool in
                guard branches.count == listed.count else { return false }
                branches = [:]
                return true
            }
            guard isComplete else { continue }
            for branch in listed {
                branch.isListed = false
                branch.freeze()
            }
            return listed
        }
    }

    /// Takes one branch off the list, which is to be frozen by the caller. Its lock is held.
    func remove(_ branch: Branch) {
        branch.isListed = false
        lock.locked { branches[ObjectIdentifier(branch)] = nil }
    }
}
