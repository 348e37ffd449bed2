import ArgumentParser
import GefsControl

struct StatVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "stat",
        abstract: "Show everything that is known of files.",
        usage: "gefs stat IMAGE TARGET ...",
        discussion: """
            Example:
              gefs stat disk.img /lib/words old:/lib/words
            """)

    @Argument(
        help: ArgumentHelp("The image, then the files.", valueName: "image> <target"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var options: SessionOptions

    var console: Console { options.output.console() }

    func perform(on console: Console) throws {
        let (image, targets) = try options.image.split(operands)
        guard !targets.isEmpty else { throw ValidationError("Missing expected argument 'TARGET'.") }
        try ImageSession.with(image, for: .reading, options, console) { session in
            for (index, text) in targets.enumerated() {
                let target = TargetPath(text)
                let entry = try session.status(of: target)
                try console.result(FileReport(entry, at: target)) {
                    if index > 0 { try console.line("") }
                    try show(entry, target, console)
                }
            }
        }
    }

    private func show(_ entry: FileEntry, _ target: TargetPath, _ console: Console) throws {
        let qid = entry.qid
        var table = TextTable([.right, .left])
        table.append(["path", ByteText.shown(target.pathBytes)])
        table.append(["branch", ByteText.shown(target.branchName)])
        table.append(["mode", "\(ModeText.octal(entry.mode)) \(ModeText.letters(entry.mode))"])
        table.append(["size", console.size(entry.size)])
        table.append(["owner", ByteText.shown(entry.owner)])
        table.append(["group", ByteText.shown(entry.group)])
        table.append(["modified", Timestamp.text(seconds: Int64(entry.modified))])
        table.append(["by", ByteText.shown(entry.lastModifier)])
        table.append(["accessed", Timestamp.text(seconds: Int64(entry.accessed))])
        table.append(["qid", "path \(qid.path), version \(qid.version), type \(qid.type)"])
        try console.table(table)
    }
}
