import ArgumentParser
import GefsControl

#if canImport(FoundationEssentials)
    import FoundationEssentials
#else
    import Foundation
#endif

struct CatVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "cat",
        abstract: "Write the contents of files to standard output.",
        usage: "gefs cat IMAGE TARGET ...",
        discussion: """
            With --json the contents come as objects of type \"data\" with path, offset and base64.

            Examples:
              gefs cat disk.img /lib/words
              gefs cat disk.img adm:/users
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
            for text in targets {
                let target = TargetPath(text)
                try session.readContents(of: target) { offset, bytes in
                    if console.isJSON {
                        try console.object(DataReport(target, offset, bytes))
                    } else {
                        try console.output.write(bytes)
                    }
                }
            }
        }
    }
}

/// A piece of a file's contents.
struct DataReport: Report {
    static var type: String { "data" }
    var branch: String
    var path: String
    var offset: UInt64
    var base64: String

    init(_ target: TargetPath, _ offset: UInt64, _ bytes: UnsafeRawBufferPointer) {
        branch = String(decoding: target.branchName, as: UTF8.self)
        path = String(decoding: target.pathBytes, as: UTF8.self)
        self.offset = offset
        base64 = Data(bytes).base64EncodedString()
    }
}
