import GefsControl

/// What `-o` says, and the options of mount(8) that say the same as ours.
struct MountWords {
    var isReadOnly = false
    var allowsOthers = false
    var branch: String?
    var listen: [String] = []
    var cache: String?
    var takesSnapshots = true
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

    /// - Throws: `CommandFailure` for a word that means nothing.
    init(_ texts: [String]) throws {
        for text in texts {
            for word in text.split(separator: ",") { try take(String(word)) }
        }
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
        case ("idmap", "names"?): break
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
