import ArgumentParser
import GefsControl

struct ChangeOwnerVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "chown",
        abstract: "Change owners and groups.",
        usage: "gefs chown [-R] IMAGE [OWNER][:GROUP] TARGET ...",
        discussion: """
            Owners and groups are users of the file system (gefs users list). Changing an owner \
            takes the rights of group adm.

            Examples:
              gefs chown disk.img glenda /usr/glenda
              gefs chown -R disk.img glenda:sys /usr/glenda
              gefs chown disk.img :sys /sys
            """)

    @Flag(name: [.customShort("R"), .long], help: "Change everything below directories, too.")
    var recursive = false

    @Argument(
        help: ArgumentHelp("The image, the owner, the files.", valueName: "image> <owner> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, rest) = try options.image.split(operands)
        guard rest.count >= 2, let text = rest.first else {
            throw ValidationError("Missing expected arguments '[OWNER][:GROUP] TARGET'.")
        }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map {
            ByteText.bytes(of: String($0))
        }
        guard parts.count <= 2, parts.contains(where: { !$0.isEmpty }) else {
            throw ValidationError("'\(text)' is no OWNER, OWNER:GROUP or :GROUP.")
        }
        let owner = parts[0].isEmpty ? nil : parts[0]
        let group = parts.count < 2 || parts[1].isEmpty ? nil : parts[1]
        try ImageSession.with(image, for: .writing, options, console) { session in
            for text in rest.dropFirst() {
                try session.visit(TargetPath(text), recursively: recursive) { target, _ in
                    try session.change(target, FileChange(owner: owner, group: group))
                    console.detail("changed \(target.shown)")
                }
            }
        }
    }
}
