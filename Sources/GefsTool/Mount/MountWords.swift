import GefsControl
import GefsFuse

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What `-o` says, and the options of mount(8) that say the same as ours.
struct MountWords {
    var isReadOnly = false
    var allowsOthers = false
    var branch: String?
    var listen: [String] = []
    var cache: String?
    var takesSnapshots = true
    var identityMap: IdentityMap?
    var showsAllLabels = false
    var showsControl = true
    /// Also what shows nonsense to others: host numbers on a volume that knows its users by name.
    var isForced = false
    var mayUseRing = true
    /// For the kernel.
    var kernel: [String] = []

    private static let kernelWords: Set<String> = [
        "suid", "nosuid", "dev", "nodev", "exec", "noexec", "atime", "noatime", "diratime",
        "nodiratime", "relatime", "norelatime", "strictatime", "lazytime", "sync", "async",
        "dirsync",
    ]

    private static let ignoredWords: Set<String> = [
        "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "owner",
        "group", "rw", "default_permissions", "loud", "silent", "nomand",
    ]

    /// - Parameter forServer: the process that mounts serves the image already.
    /// - Throws: `CommandFailure` for a word that means nothing.
    init(_ texts: [String], forServer: Bool = false) throws {
        for text in texts {
            for word in text.split(separator: ",") { try take(String(word)) }
        }
        guard branch == nil || !showsAllLabels else {
            throw CommandFailure("mount", "all labels, or one branch", status: .usage)
        }
        if forServer { try checkForServer() }
    }

    /// - Throws: `CommandFailure` for what whoever serves the image has decided already.
    func checkForServer() throws {
        guard listen.isEmpty, cache == nil, takesSnapshots else {
            throw CommandFailure(
                "mount", "listen, cache and nosnapshots are the server's, which holds the image",
                next: "gefs info shows it", status: .usage)
        }
    }

    /// What the mount is to be, of an image with that name.
    func options(source: String) -> MountOptions {
        var options = MountOptions()
        options.source = source
        options.label = ByteText.bytes(of: branch ?? "main")
        options.isReadOnly = isReadOnly
        options.allowsOthers = allowsOthers || geteuid() == 0
        options.kernelOptions = kernel
        // What mount(8) takes for granted, and libfuse does not.
        if geteuid() == 0 {
            for word in ["suid", "dev"]
            where !kernel.contains(word) && !kernel.contains("no" + word) {
                options.kernelOptions.append(word)
            }
        }
        options.identityMap = identityMap
        options.showsAllLabels = showsAllLabels
        options.showsControl = showsControl
        options.mayUseRing = mayUseRing
        options.complain = { Console.complain("gefs: \($0)") }
        return options
    }

    private mutating func take(_ word: String) throws {
        let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
        let value = parts.count == 2 ? parts[1] : nil
        switch (parts.first ?? "", value) {
        case ("ro", nil): isReadOnly = true
        case ("allow_other", nil): allowsOthers = true
        case ("branch", let name?): branch = name
        case ("listen", let address?): listen.append(address)
        case ("cache", let size?): cache = size
        case ("nosnapshots", nil): takesSnapshots = false
        case ("idmap", let name?):
            guard let map = IdentityMap(rawValue: name) else {
                throw CommandFailure(
                    "mount", "-o \(word): idmap is names or numeric", status: .usage)
            }
            identityMap = map
        case ("force", nil): isForced = true
        case ("all", nil): showsAllLabels = true
        case ("noctl", nil): showsControl = false
        case ("io_uring", nil): mayUseRing = true
        case ("noio_uring", nil): mayUseRing = false
        case (let name, nil) where Self.kernelWords.contains(name): kernel.append(name)
        case (let name, _) where Self.ignoredWords.contains(name): break
        case (let name, _) where name.hasPrefix("x-") || name.hasPrefix("comment"): break
        default:
            throw CommandFailure(
                "mount", "-o \(word): no such option",
                next: "gefs mount --help tells which there are", status: .usage)
        }
    }
}
