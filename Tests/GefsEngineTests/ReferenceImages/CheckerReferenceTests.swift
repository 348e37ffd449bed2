import GefsFormat
import Testing

@testable import GefsEngine

/// The oracle is an independent implementation of the same format: whoever of the two is wrong,
/// this is where it shows.
@Suite(.enabled(if: ReferenceImages.folder != nil, Comment(rawValue: ReferenceImages.absence)))
struct CheckerReferenceTests {
    @Test(arguments: ReferenceImages.names)
    func `the checker judges an image as the oracle does`(name: String) throws {
        try ReferenceImages.withImage(name) { path in
            let device = try FileDevice(path: path, access: .readOnly)
            defer { device.close() }
            let report = Checker.check(device)
            #expect(report.isComplete)
            #expect(report.errorCount == 0, "\(report.findings)")
            #expect(report.totals.verifiedBlocks > 0)
            guard let verdict = try ReferenceImages.oracleVerdict(on: path) else { return }
            let summary = report.totals.description
            #expect(verdict.contains(summary), "\(summary), oracle: \(verdict)")
            let counts = "ok: \(report.errorCount) errors, \(report.warningCount) warnings"
            #expect(verdict.last == counts, "\(report.findings), oracle: \(verdict)")
        }
    }

    @Test(arguments: ReferenceImages.names)
    func `comparing snapshots gives what reading each one gives`(name: String) throws {
        try ReferenceImages.withImage(name) { path in
            let device = try FileDevice(path: path, access: .readOnly)
            defer { device.close() }
            var options = CheckOptions()
            options.verifiesData = false
            options.findingsPerKindMax = .max
            let compared = Checker.check(device, options: options)
            options.comparesRelatives = false
            let read = Checker.check(device, options: options)
            #expect(Set(compared.findings) == Set(read.findings))
            #expect(compared.totals == read.totals)
        }
    }

    @Test func `every block that is in use can be described`() throws {
        try ReferenceImages.withImage("N-c-snapshots") { path in
            let device = try FileDevice(path: path, access: .readOnly)
            defer { device.close() }
            let volume = try VolumeDump(device)
            #expect(volume.findings.isEmpty)
            #expect(volume.arenas.count == 8)
            let tree = try #require(volume.tree(label: Array("main".utf8)))
            #expect(tree.nodes.count > 10)
            #expect(tree.nodes.allSatisfy { $0.error == nil })
            for node in tree.nodes + volume.snapshotTree().nodes {
                let address = try #require(UInt64(node.address.dropFirst(2), radix: 16))
                let dump = try BlockDump(BlockAddress(rawValue: address), on: device)
                guard case .node(let content) = dump else {
                    Issue.record("\(dump)")
                    continue
                }
                #expect(content.error == nil)
                #expect(content.type == node.type)
                #expect(content.records.count == node.records)
                #expect(!content.records.contains { $0.key.hasPrefix("invalid") })
                #expect(!content.records.contains { $0.value.hasPrefix("bytes") })
            }
        }
    }
}
