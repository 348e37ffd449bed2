/// What mount(8) and umount(8) call for a type of file system: the program under the name
/// `mount.gefs` or `umount.fuse.gefs`. Source: mount(8), "External helpers".
enum MountHelper {
    /// The arguments of the verb that is meant; nil where the program has its own name.
    ///
    /// - Parameter name: as what the program was called.
    static func verb(name: String, _ arguments: [String]) -> [String]? {
        switch name.split(separator: "/").last {
        case "mount.gefs": mount(arguments)
        case "umount.gefs", "umount.fuse.gefs": unmount(arguments)
        default: nil
        }
    }

    /// `IMAGE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]`; -s and -n have no meaning here, and
    /// -f is to do nothing.
    private static func mount(_ arguments: [String]) -> [String] {
        var words = ["mount"]
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "-o": words += ["-o", rest.popFirst() ?? ""]
            case "-N", "-t": _ = rest.popFirst()
            case "-f": return ["version", "--quiet"]
            case "-v": words.append("--verbose")
            case "-s", "-n": break
            default: words.append(word)
            }
        }
        return words
    }

    /// `DIR [-flnrv] [-N NAMESPACE] [-t TYPE]`.
    private static func unmount(_ arguments: [String]) -> [String] {
        var words = ["umount"]
        var rest = arguments[...]
        while let word = rest.popFirst() {
            switch word {
            case "-N", "-t": _ = rest.popFirst()
            case "-f", "-l", "-n", "-r", "-v": break
            default: words.append(word)
            }
        }
        return words
    }
}
