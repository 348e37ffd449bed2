import GefsControl
import GefsEngine
import Testing

@testable import GefsTool

/// Texts that the fuzzers found to be misread.
struct HostileTextTests {
    /// A quote with an accent behind it is one character to a `String`, and was no quote.
    @Test func `accents do not make quotes and spaces other characters`() {
        #expect(ControlWords.split("'a\u{59d}' b") == ["a\u{59d}", "b"])
        #expect(
            ControlWords.split("'\u{59d}x y'").map { Array($0.utf8) } == [Array("\u{59d}x y".utf8)])
        #expect(ControlWords.split("a \u{301}b").count == 2)
    }

    /// Each character was appended to a copy of the word: a message of 1 MiB took minutes.
    @Test func `a long word takes no longer than a short one a byte`() {
        let line = String(repeating: "x", count: 1 << 20)
        let clock = ContinuousClock()
        let took = clock.measure { #expect(ControlWords.split(line).first?.utf8.count == 1 << 20) }
        #expect(took < .seconds(20))
    }

    /// The characters that stand for bytes came back as those bytes when a name really held them.
    @Test func `names with the characters that stand for bytes survive`() {
        for bytes in [
            [0xf4, 0x8f, 0xb9, 0x90], [0xf4, 0x8f, 0xbb, 0xbf], [0xff, 0xf4, 0x8f, 0xba, 0x80],
        ]
            as [[UInt8]]
        {
            #expect(ByteText.bytes(of: ByteText.string(bytes)) == bytes)
        }
    }

    @Test func `a size has no sign, not even in its fraction`() {
        for text in ["1.+5K", "-0", "+1", "1.-0K", "K", "."] {
            #expect(HumanSize.parse(text) == nil)
        }
    }

    /// The editor took `\r\n` for one character, and the line behind for a part of the comment.
    @Test func `the editor of users sees the lines that the server sees`() throws {
        let bytes = Array("# people\r\n-1:adm::glenda\n0:none::\n1:glenda:glenda:\n".utf8)
        let file = try UsersFile(bytes)
        #expect(file.users.map(\.name) == ["adm", "none", "glenda"])
        #expect(try file.bytes() == bytes)
    }

    /// To a `String` both spellings are equal; to the server they are two users.
    @Test func `users whose names only look alike are kept apart`() throws {
        var file = try UsersFile(Array("-1:adm::\n0:none::\n1:\u{e9}::\n2:e\u{301}::\n".utf8))
        #expect(try file.line(of: "e\u{301}").id == 2)
        file.update("e\u{301}") { _ in nil }
        #expect(file.users.map(\.id) == [-1, 0, 1])
    }

    /// The element that ends in a colon was taken for the end of a branch.
    @Test func `a target is read as it is written`() {
        for text in [":/a/:/a", ":/a:/b", "work:/a:/b", "main@x:y:/c", "a/../..", ""] {
            let target = TargetPath(text)
            let again = TargetPath(ByteText.string(target.bytes))
            #expect(again.elements == target.elements && again.branchName == target.branchName)
        }
    }
}
