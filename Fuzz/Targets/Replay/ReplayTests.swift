import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Every input of the seed corpora, and every one that has ever broken something, runs again.
@Suite(.serialized)
struct ReplayTests {
    @Test(.timeLimit(.minutes(5)), arguments: FuzzTargets.all.map { $0.name })
    func `what was found stays mended`(name: String) throws {
        guard let target = try FuzzTargets.make(name) else { return }
        for folder in ["Corpus", "Crashers"] {
            for path in Self.files(in: "\(Self.root)/\(folder)/\(name)") {
                let bytes = try Self.contents(of: path)
                do {
                    try bytes.withUnsafeBytes { try target.replay($0) }
                } catch {
                    Issue.record("\(path): \(error)")
                }
            }
        }
    }

    /// The folder `Fuzz`, by where this file was when it was compiled.
    private static let root: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    /// Paths in the order of their names; none where there is no such folder.
    private static func files(in folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted().map { "\(folder)/\($0)" }
    }

    private static func contents(of path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = read(descriptor, &bytes, bytes.count)
        try #require(count >= 0)
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}
