import GefsServer

/// What the console can ask of the server that it belongs to.
public protocol ServerControls: Sendable {
    /// Anyone may use `%` attaches.
    var isPermissive: Bool { get nonmutating set }

    /// Who serves, for `info`.
    var description: VolumeReport.Server { get }

    /// The fids that its clients hold.
    var fids: [FidInfo] { get }

    /// Mounts a branch on a directory of the host: see `gefs mount`. Returns when it can be used.
    ///
    /// - Parameter options: as of `-o`, each with commas between them.
    /// - Throws: `CommandFailure`.
    func mount(on directory: String, options: [String]) throws

    /// Unmounts what the process has mounted on a directory, also where it is in use; returns when
    /// nothing of the branch is held for it any more.
    ///
    /// - Returns: false where it has mounted nothing there.
    func unmount(_ directory: String) -> Bool

    /// Lets the kernel forget the states that mounts show beside their branches, and that nobody is
    /// in, so that they can be deleted. Returns at once.
    ///
    /// - Returns: whether there are mounts.
    func forgetVisits() -> Bool

    /// Lets the server end in good order, soon: it answers what it has been asked, commits and
    /// closes. Returns at once.
    func halt()
}

extension ServerControls {
    public func forgetVisits() -> Bool { false }
}
