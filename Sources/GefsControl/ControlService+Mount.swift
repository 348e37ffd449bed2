extension ControlService {
    /// `mount DIRECTORY [-o OPTIONS]...`: the process that holds the image mounts it.
    func mount(_ arguments: [String], _ reply: Reply) throws {
        var words: [String] = []
        var rest = arguments.dropFirst()
        while let word = rest.popFirst() {
            guard word == "-o", let options = rest.popFirst() else { throw Self.mountUsage }
            words.append(options)
        }
        guard let directory = arguments.first, directory.hasPrefix("/") else {
            throw Self.mountUsage
        }
        guard let server else { throw CommandFailure(image, "no server holds it") }
        try server.mount(on: directory, options: words)
        try reply(MessageReport("mounted on \(directory)"))
    }

    /// `unmount DIRECTORY`: also where programs use it.
    func unmount(_ arguments: [String], _ reply: Reply) throws {
        guard arguments.count == 1, let directory = arguments.first else {
            throw CommandFailure("unmount", "usage: unmount DIRECTORY", status: .usage)
        }
        guard let server, server.unmount(directory) else {
            throw CommandFailure(directory, "\(image) is not mounted there", status: .failed)
        }
        try reply(MessageReport("unmounted"))
    }

    private static let mountUsage = CommandFailure(
        "mount", "usage: mount DIRECTORY [-o OPTIONS]", next: "the directory from / on",
        status: .usage)
}
