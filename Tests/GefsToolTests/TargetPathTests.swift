import GefsControl
import Testing

@testable import GefsTool

struct TargetPathTests {
    private func text(_ bytes: [UInt8]?) -> String? {
        bytes.map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(
        arguments: [
            ("/usr/glenda", nil, "/usr/glenda"),
            ("usr", nil, "/usr"),
            ("old:/usr", "old", "/usr"),
            (":/usr", nil, "/usr"),
            ("main@hour.2026.05.01_10:00:00:/usr", "main@hour.2026.05.01_10:00:00", "/usr"),
            ("a:b", nil, "/a:b"),
            ("a:/b:/c", "a", "/b:/c"),
            ("", nil, "/"), ("/", nil, "/"), ("old:/", "old", "/"),
            ("//a///b//", nil, "/a/b"), ("/a/./b/../c", nil, "/a/c"), ("/../..", nil, "/"),
        ] as [(String, String?, String)])
    func `a branch ends at the first colon that a slash follows`(
        written: String, branch: String?, path: String
    ) {
        let target = TargetPath(written)
        #expect(text(target.branch) == branch)
        #expect(text(target.pathBytes) == path)
    }

    @Test func `a slash at the end asks for a directory`() {
        #expect(TargetPath("/a/").requiresDirectory)
        #expect(TargetPath("old:/").requiresDirectory)
        #expect(!TargetPath("/a").requiresDirectory)
    }

    @Test func `a place is inside itself and what is above it, in its own branch`() {
        #expect(TargetPath("/a/b").isInside(TargetPath("/a")))
        #expect(TargetPath("/a").isInside(TargetPath("main:/a")))
        #expect(TargetPath("/a").isInside(TargetPath("/")))
        #expect(!TargetPath("/ab").isInside(TargetPath("/a")))
        #expect(!TargetPath("old:/a/b").isInside(TargetPath("/a")))
    }

    @Test func `undecodable bytes come through`() {
        let bytes: [UInt8] = [0x2f, 0x63, 0xe9, 0x80, 0xff]
        let target = TargetPath(ByteText.string(bytes))
        #expect(target.elements == [[0x63, 0xe9, 0x80, 0xff]])
        #expect(target.shown == "/c\\xe9\\x80\\xff")
    }

    @Test(arguments: ["main:/x", ":/x", "old:/", "a b:/c"])
    func `in cp, what holds a colon and a slash lies in the image`(written: String) {
        guard case .image = CopyOperand(written) else {
            Issue.record("\(written) is local")
            return
        }
    }

    @Test(arguments: ["x", "/x", "./a:/b", "../a:/b", "/a:/b", "-", "a:b", ""])
    func `in cp, everything else lies on this machine`(written: String) {
        guard case .local(let path) = CopyOperand(written) else {
            Issue.record("\(written) is in the image")
            return
        }
        #expect(text(path) == written)
    }
}
