import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// Comparisons and histories of volumes with hard links and extended attributes.
@Suite struct PosixCompareTests {
    @Test func `a hard link is a name that comes, and a change of the file is one of each name`()
        throws
    {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("a", Array(repeating: 1, count: 20_000))
        try volume.makeFile("other", [1])
        try volume.snapshot("s0")
        try volume.link("a", "d/b")
        try volume.snapshot("s1")
        expectSame(try volume.compare("s0", "s1"), ["added /d/b [] 0"])
        expectSame(try volume.compare("s1", "s0"), ["removed /d/b [] 0"])
        try volume.write("d/b", [9], at: 0)
        try volume.snapshot("s2")
        expectSame(
            try volume.compare("s1", "s2"),
            [
                "changed /a [contents modified] 1", "changed /d/b [contents modified] 1",
            ])
        // It became a file with several names between the two.
        expectSame(
            try volume.compare("s0", "s2"),
            [
                "added /d/b [] 1", "changed /a [contents modified] 1",
            ])
        #expect(try volume.compare("s1", "s2", under: "d").count == 1)
        try volume.rename("d/b", to: "c", .replace)
        try volume.snapshot("s3")
        expectSame(try volume.compare("s2", "s3"), ["renamed /d/b to /c [] 0"])
        try volume.remove("a")
        try volume.snapshot("s4")
        expectSame(try volume.compare("s3", "s4"), ["removed /a [] 0"])
        expectSame(try volume.compare("s0", "s4"), ["renamed /a to /c [contents modified] 1"])
        try volume.expectClean()
    }

    @Test func `a change of an extended attribute shows as one of attributes`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeDirectory("d")
        try volume.makeFile("a", [1])
        try volume.link("a", "b")
        try volume.makeFile("plain", [2])
        try volume.snapshot("s0")
        try volume.setAttribute("user.x", of: "plain", to: [1, 2, 3])
        try volume.setAttribute("user.x", of: "d", to: [1])
        try volume.setAttribute("user.x", of: "b", to: Array(repeating: 7, count: 2000))
        try volume.snapshot("s1")
        expectSame(
            try volume.compare("s0", "s1"),
            [
                "changed /a [attributes] 0", "changed /b [attributes] 0",
                "changed /d [attributes] 0", "changed /plain [attributes] 0",
            ])
        try volume.setAttribute("user.x", of: "plain", to: [1, 2, 4])
        try volume.setAttribute("user.y", of: "b", to: [1])
        try volume.setAttribute("user.y", of: "b", to: nil)
        try volume.snapshot("s2")
        expectSame(try volume.compare("s1", "s2"), ["changed /plain [attributes] 0"])
    }

    @Test func `the versions of a file with several names are told for each of them`() throws {
        let volume = try TestVolume(features: .posix)
        try volume.makeFile("a", [1])
        for round in 0..<4 { try volume.snapshot("s\(10 + round)") }
        try volume.link("a", "b")
        for round in 4..<8 { try volume.snapshot("s\(10 + round)") }
        try volume.write("a", [1, 2], at: 0)
        for round in 8..<12 { try volume.snapshot("s\(10 + round)") }
        try volume.setAttribute("user.x", of: "a", to: [1])
        for round in 12..<16 { try volume.snapshot("s\(10 + round)") }
        let oldest = { (path: String) in
            try volume.fileSystem.versions(
                of: TestVolume.elements(path), in: TestVolume.main
            ).versions.map {
                $0.entry == nil ? "-" : String(decoding: $0.oldest.name, as: UTF8.self)
            }
        }
        expectSame(try oldest("b"), ["s22", "s18", "s14"])
        expectSame(try oldest("a"), ["s22", "s18", "s14", "s10"])
    }

    @Test(arguments: RandomWorkload.seeds([31, UInt64.random(in: 0...(.max))]))
    func `random histories with links differ in the names that reading all of them finds`(
        seed: UInt64
    ) throws {
        print("posix compare: GEFS_SEED=\(seed)")
        let volume = try TestVolume(features: .posix)
        var workload = RandomWorkload(seed: seed)
        var labels = ["empty", "main"]
        for round in 0..<6 {
            for _ in 0..<60 { try workload.step(volume) }
            try volume.snapshot("s\(round)")
            labels.append("s\(round)")
        }
        let names = try labels.map { try FileNames(volume, $0) }
        for old in labels.indices {
            for new in labels.indices {
                let expected = names[old].changes(to: names[new])
                let found = try FileNames.changes(volume, labels[old], labels[new])
                #expect(found == expected, "\(labels[old]) to \(labels[new])")
            }
        }
    }
}

/// Names of all files, by qid, found by reading all of a tree.
private struct FileNames {
    struct Name: Hashable {
        var place: FileName.Place
        var path: String
    }

    private var names: [UInt64: Set<Name>] = [:]
    private var entries: [UInt64: DirectoryEntry] = [:]
    private var attributes: [UInt64: [[UInt8]]] = [:]

    init(_ volume: TestVolume, _ label: String) throws {
        let files = TreeFiles(
            volume.fileSystem.volume, try volume.fileSystem.pin(Array(label.utf8)))
        var left = [(try files.rootDirectory(), "")]
        while let (directory, path) = left.popLast() {
            for file in try files.children(of: directory.qid) {
                let child = path + "/" + String(decoding: file.name, as: UTF8.self)
                names[file.qid, default: []].insert(Name(place: file.place, path: child))
                entries[file.qid] = file.entry
                attributes[file.qid] = try files.attributes(of: file.qid).map {
                    $0.name + $0.value
                }
                if file.isDirectory { left.append((file, child)) }
            }
        }
    }

    /// How many names of each file come, go or are renamed, and which of them change in place.
    func changes(to new: FileNames) -> [UInt64: [String]] {
        var changes: [UInt64: [String]] = [:]
        for qid in Set(names.keys).union(new.names.keys) {
            let before = Set((names[qid] ?? []).map(\.place))
            let after = Set((new.names[qid] ?? []).map(\.place))
            let (gone, come) = (
                before.subtracting(after).count, after.subtracting(before).count
            )
            let moved = min(gone, come)
            var lines = [String](repeating: "renamed", count: moved)
            lines += [String](repeating: "removed", count: gone - moved)
            lines += [String](repeating: "added", count: come - moved)
            if let left = entries[qid], let right = new.entries[qid],
                left.mode != right.mode || left.length != right.length
                    || (!left.isDirectory && left.modificationTime != right.modificationTime)
                    || attributes[qid] != new.attributes[qid]
            {
                for name in new.names[qid] ?? [] where before.contains(name.place) {
                    lines.append("changed \(name.path)")
                }
            }
            if !lines.isEmpty { changes[qid] = lines.sorted() }
        }
        return changes
    }

    /// The same from a comparison.
    static func changes(
        _ volume: TestVolume, _ old: String, _ new: String
    ) throws -> [UInt64: [String]] {
        var changes: [UInt64: [String]] = [:]
        _ = try volume.fileSystem.compare(Array(old.utf8), Array(new.utf8)) { change in
            let qid = change.entry?.qidPath ?? 0
            if change.path == [UInt8(ascii: "/")] { return true }
            let path =
                change.kind == .changed ? " " + String(decoding: change.path, as: UTF8.self) : ""
            changes[qid, default: []].append(change.kind.rawValue + path)
            return true
        }
        return changes.mapValues { $0.sorted() }
    }
}

/// Says what was found where it is not what was expected.
private func expectSame(
    _ found: [String], _ expected: [String], at location: SourceLocation = #_sourceLocation
) {
    #expect(found == expected, "\(found)", sourceLocation: location)
}
