import Testing

@testable import GefsCrash

@Suite struct CrashExplorerTests {
    @Test(arguments: CrashExplorer.workloads.map(\.name))
    func `no crash loses anything`(name: String) {
        var explorer = CrashExplorer()
        explorer.names = [name]
        explorer.states = 40
        explorer.threads = 1
        let report = explorer.run()
        #expect(report.stateCount > 30)
        for failures in report.failures {
            Issue.record("\(name) \(failures.place as Any): \(failures.failure)")
        }
    }

    @Test(arguments: Defect.allCases)
    func `a defect that is put in is found`(defect: Defect) {
        var explorer = CrashExplorer()
        explorer.defect = defect
        explorer.states = 4000
        explorer.stopsAtFailure = true
        #expect(!explorer.run().failures.isEmpty)
    }

    @Test func `flushes that are lies are noticed`() {
        var explorer = CrashExplorer()
        explorer.liesAboutFlushes = true
        explorer.states = 2000
        explorer.stopsAtFailure = true
        #expect(!explorer.run().failures.isEmpty)
    }

    @Test(arguments: ["files", "random", "busy", "full"])
    func `a recording is the same each time`(name: String) throws {
        let workload = try #require(CrashWorkload.all.first { $0.name == name })
        let first = try workload.recorded(seed: 3, defect: nil).device.events
        let again = try workload.recorded(seed: 3, defect: nil).device.events
        let isEqual = first == again
        #expect(isEqual)
    }

    @Test func `a failure is met again at its place`() throws {
        var explorer = CrashExplorer()
        explorer.defect = .backupWithPrimary
        explorer.names = ["wide"]
        explorer.states = 2000
        explorer.threads = 1
        explorer.stopsAtFailure = true
        let failures = try #require(explorer.run().failures.first)
        explorer.seed = failures.seed
        let place = try #require(failures.place)
        let again = try explorer.replay(
            workload: "wide", try #require(CrashPlace("\(place)")))
        #expect(again == failures.failure)
    }
}
