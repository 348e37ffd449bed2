import GefsFormat

/// What somebody else changed, for whoever keeps copies of files: a kernel.
public enum ObservedChange: Sendable {
    /// The attributes or the contents of a file.
    case file(qidPath: UInt64)
    /// What a name in a directory means.
    case name([UInt8], directory: UInt64)
    /// The branch is at another state altogether.
    case everything
    /// The users of the volume are others: owners have other names.
    case users
}

/// Is told of the changes of one branch that come through other doors.
public protocol ChangeObserver: AnyObject, Sendable {
    /// The number that the observer's own changes carry: `Caller.door`.
    var door: Int { get }

    /// Called under the branch's lock, before the change is acknowledged: notes it and returns.
    func observe(_ change: ObservedChange)
}

extension FileSystem {
    /// From now on the observer is told of what others change in the branch of `handle`. The branch
    /// does not keep it alive.
    public func add(_ observer: any ChangeObserver, on handle: FileHandle) {
        guard let branch = handle.node?.branch else { return }
        branch.lock.locked { branch.observers.append(WeakObserver(observer)) }
    }

    public func remove(_ observer: any ChangeObserver, from handle: FileHandle) {
        guard let branch = handle.node?.branch else { return }
        branch.lock.locked { branch.observers.removeAll { $0.observer === observer } }
    }
}

struct WeakObserver {
    weak var observer: (any ChangeObserver)?

    init(_ observer: any ChangeObserver) {
        self.observer = observer
    }
}

extension Branch {
    /// Tells all observers but the caller's own. Lock held.
    func tell(_ change: @autoclosure () -> ObservedChange, as caller: Caller) {
        guard !observers.isEmpty else { return }
        let change = change()
        for item in observers {
            guard let observer = item.observer, observer.door != caller.door else { continue }
            observer.observe(change)
        }
    }
}
