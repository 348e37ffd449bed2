#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where the server of an image listens for the tool. Source: CLI.md, "Verbs".
public enum ControlSocket {
    /// The places to look for the socket of an image, the likeliest first: `IMAGE.sock`, and a
    /// name in the user's runtime folder for disks and folders that cannot be written.
    public static func candidates(forImage path: String) -> [String] {
        let image = resolved(path)
        return [image + ".sock", runtimePath(image)].compactMap { $0 }.filter {
            $0.utf8.count <= UnixSocket.pathBytesMax
        }
    }

    /// Where a server is to listen; the folder is made if that is needed.
    ///
    /// - Throws: `CommandFailure` where there is no place for a socket.
    public static func place(forImage path: String) throws(CommandFailure) -> String {
        let image = resolved(path)
        let beside = image + ".sock"
        if !isDevice(image), beside.utf8.count <= UnixSocket.pathBytesMax,
            access(folder(of: image), W_OK | X_OK) == 0
        {
            return beside
        }
        guard let place = runtimePath(image), place.utf8.count <= UnixSocket.pathBytesMax else {
            throw CommandFailure(
                path, "no place for a control socket",
                next: "set XDG_RUNTIME_DIR to a folder of yours", status: .permission)
        }
        guard mkdir(folder(of: place), 0o700) == 0 || errno == EEXIST else {
            throw CommandFailure(
                folder(of: place), String(cString: strerror(errno)),
                next: "set XDG_RUNTIME_DIR to a folder of yours", status: .permission)
        }
        return place
    }

    /// Where the console of the server with that control socket listens: `IMAGE.cmd`.
    public static func console(besideSocket path: String) -> String {
        (path.hasSuffix(".sock") ? String(path.dropLast(5)) : path) + ".cmd"
    }

    /// The image's one name: links resolved, as far as it exists.
    private static func resolved(_ path: String) -> String {
        guard let name = realpath(path, nil) else { return path }
        defer { free(name) }
        return String(cString: name)
    }

    private static func isDevice(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    }

    private static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    /// The name below the runtime folder: the image's path with dashes for slashes, so that two
    /// images never share one.
    private static func runtimePath(_ image: String) -> String? {
        let base: String
        if let folder = getenv("XDG_RUNTIME_DIR"), folder.pointee != 0 {
            base = String(cString: folder)
        } else {
            base = getuid() == 0 ? "/run" : "/run/user/\(getuid())"
        }
        var name = ""
        for character in image.drop(while: { $0 == "/" }) {
            switch character {
            case "/": name += "-"
            case "-": name += "--"
            default: name.append(character)
            }
        }
        return "\(base)/gefs/\(name).sock"
    }
}
