import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct HostNameTests {
    private func safe(_ name: String) -> String {
        String(decoding: HostName.safe(Array(name.utf8), qid: 7), as: UTF8.self)
    }

    @Test
    func `names that lead elsewhere are spelled out`() {
        #expect(safe("notes.txt") == "notes.txt")
        #expect(safe("...") == "...")
        #expect(safe(".") == "%2e")
        #expect(safe("..") == "%2e%2e")
        #expect(safe("../../etc/passwd") == "..%2f..%2fetc%2fpasswd")
        #expect(safe("a\0b") == "a%00b")
        #expect(safe("") == "QID7")
        #expect(safe(String(repeating: "/", count: 200)) == "QID7")
    }

    @Test
    func `a hierarchy without a top or with a circle gets one`() {
        var hierarchy = RescuedHierarchy(rootQid: 0)
        func directory(_ qid: UInt64) -> DirectoryEntry {
            DirectoryEntry(
                qidPath: qid, mode: DirectoryEntry.modeDirectory | 0o755, uid: 0, gid: 0, muid: 0)
        }
        hierarchy.add(parent: 11, name: [65], directory(10), layer: 0)
        hierarchy.add(parent: 10, name: [66], directory(11), layer: 0)
        hierarchy.add(parent: 99, name: [67], directory(12), layer: 0)
        hierarchy.add(parent: 13, name: [68], directory(13), layer: 0)
        hierarchy.finish()
        let order = hierarchy.topDown()
        #expect(Set(order) == [0, 10, 11, 12, 13, 99])
        #expect(order.first == 0)
        for (index, qid) in order.enumerated() {
            guard let directory = hierarchy.directories[qid], qid != 0, !directory.isLost else {
                continue
            }
            #expect(order[..<index].contains(directory.parent))
        }
    }
}
