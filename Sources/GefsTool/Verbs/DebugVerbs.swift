import ArgumentParser
import GefsControl

struct DebugVerbs: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "debug", abstract: "Look at the structures of a disk.")
}
