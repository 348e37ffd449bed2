import GefsEngine
import Testing

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
}
