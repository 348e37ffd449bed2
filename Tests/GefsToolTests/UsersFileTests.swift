import GefsControl
import Testing

@testable import GefsTool

struct UsersFileTests {
    private let fresh = Array("-1:adm::glenda\n0:none::\n1:glenda:glenda:\n".utf8)

    @Test func `lines are taken apart, and comments are no users`() throws {
        let file = try UsersFile(
            Array("# people\n-1:adm::glenda,rob\n\n0:none::\n1:glenda:glenda:\n2:rob::\n".utf8))
        #expect(file.users.map(\.name) == ["adm", "none", "glenda", "rob"])
        #expect(file.users[0].members == ["glenda", "rob"])
        #expect(file.users[2].leader == "glenda")
        #expect(file.users[3].leader == nil)
        #expect(file.nextID == 3)
    }

    @Test func `what a server would refuse is not taken`() {
        for broken in ["", "0:none::\n", "-1:adm::x\n0:none::\n", "-1:adm::\n0:none::", "x\n"] {
            #expect(throws: CommandFailure.self) { try UsersFile(Array(broken.utf8)) }
        }
    }

    @Test func `a line can be added, changed and removed`() throws {
        var file = try UsersFile(fresh)
        file.append(UsersFile.Line(id: 7, name: "rob", leader: nil, members: []))
        let line = try file.change("rob") { $0.members.append("glenda") }
        #expect(line.members == ["glenda"])
        #expect(try file.line(of: "rob") == line)
        file.update("rob") { _ in nil }
        #expect(file.users.map(\.name) == ["adm", "none", "glenda"])
        #expect(throws: CommandFailure.self) { try file.line(of: "rob") }
    }
}
