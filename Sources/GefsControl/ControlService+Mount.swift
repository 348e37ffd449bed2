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

    private static let mountUsage = CommandFailure(
        "mount", "usage: mount DIRECTORY [-o OPTIONS]", next: "the directory from / on",
        status: .usage)
}
