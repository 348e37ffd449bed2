import Testing

@testable import GefsTool

struct GlobPatternTests {
    private func matches(_ pattern: String, _ name: String) -> Bool {
        GlobPattern(pattern).matches(Array(name.utf8))
    }

    @Test(arguments: [
        ("*", ""), ("*", "abc"), ("*.c", "a.c"), ("a*b*c", "aXbYc"), ("?", "ü"), ("a?c", "abc"),
        ("[a-c]x", "bx"), ("[^a-c]x", "dx"), ("[]]", "]"), ("[a-]", "-"), ("\\*", "*"),
        ("[!x]", "y"), ("**a", "ba"), ("[", "["), ("a\\", "a\\"),
    ])
    func `names that fit`(pattern: String, name: String) {
        #expect(matches(pattern, name))
    }

    @Test(arguments: [
        ("", "a"), ("?", ""), ("*.c", "a.h"), ("[a-c]x", "dx"), ("\\*", "a"), ("a", "ab"),
        ("a*b", "ac"), ("[z-a]", "b"),
    ])
    func `names that do not fit`(pattern: String, name: String) {
        #expect(!matches(pattern, name))
    }

    @Test func `a pattern of many stars does not take for ever`() {
        let pattern = String(repeating: "a*", count: 60) + "b"
        #expect(!matches(pattern, String(repeating: "a", count: 244)))
    }
}
