import GefsControl
import GefsEngine

/// Commands of the console, given to the server of an image or carried out here.
enum Administration {
    /// Runs a command and hands out the type and the JSON line of each report.
    static func perform(
        _ words: [String], on image: String, for use: ImageHolder.Use = .reading,
        console: Console, reply: (String, [UInt8]) throws -> Void
    ) throws -> ExitStatus {
        switch try ImageHolder.find(image, for: use, console: console) {
        case .server(let socket):
            return try ControlClient.perform(words, at: socket, reply: reply)
        case .volume(let fileSystem):
            let service = ControlService(
                fileSystem, image: image, isCancelled: { Interruption.isPending })
            let result = Result {
                try service.perform(words) { report in
                    try reply(Swift.type(of: report).type, try ReportLine.encode(report))
                }
            }
            try closing(fileSystem, image)
            return try result.get()
        }
    }

    /// Runs a command and prints what it has to say.
    static func show(
        _ words: [String], on image: String, for use: ImageHolder.Use = .reading, console: Console
    ) throws -> ExitStatus {
        let printer = ReportPrinter(console)
        return try perform(words, on: image, for: use, console: console) {
            try printer.show($0, $1)
        }
    }

    /// Commits what there is and closes the volume.
    static func closing(_ fileSystem: FileSystem, _ image: String) throws {
        do {
            try fileSystem.close()
        } catch {
            var failure = CommandFailure(ByteText.shown(image), error)
            if fileSystem.failure != nil {
                failure.next = "what was synced before is on the disk, later changes are lost"
            }
            throw failure
        }
    }
}
