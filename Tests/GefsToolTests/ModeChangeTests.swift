import GefsEngine
import Testing

@testable import GefsTool

struct ModeChangeTests {
    @Test(
        arguments: [
            ("0644", 0o777, 0o644), ("7", 0o644, 0o007),
            ("u+x", 0o644, 0o744), ("go-rwx", 0o755, 0o700), ("a=r,u+w", 0o777, 0o644),
            ("+x", 0o600, 0o711), ("o=", 0o777, 0o770), ("ug=rw", 0o001, 0o661),
        ] as [(String, UInt32, UInt32)])
    func `modes are changed as chmod does it`(text: String, before: UInt32, after: UInt32) throws {
        #expect(try #require(ModeChange(text)).applied(to: before) == after)
    }

    @Test func `properties of Plan 9 are letters, too, and digits leave them alone`() throws {
        let append = try #require(ModeChange("+a")).applied(to: 0o644)
        #expect(append == 0o644 | ModeBits.appendOnly)
        #expect(try #require(ModeChange("0600")).applied(to: append) == 0o600 | ModeBits.appendOnly)
        #expect(
            try #require(ModeChange("-a,+lt")).applied(to: append)
                == 0o644 | ModeBits.exclusive | ModeBits.temporary)
        let directory = ModeBits.directory | 0o775
        #expect(
            try #require(ModeChange("go-w")).applied(to: directory) == ModeBits.directory | 0o755)
    }

    @Test(arguments: ["", "0888", "1000", "u+z", "rwx", "u+x,", "x+u", "-1"])
    func `what is no mode is refused`(text: String) {
        #expect(ModeChange(text) == nil)
    }

    @Test func `modes are shown as Plan 9 shows them`() {
        #expect(ModeText.letters(ModeBits.directory | 0o755) == "d-rwxr-xr-x")
        #expect(ModeText.letters(ModeBits.appendOnly | ModeBits.exclusive | 0o620) == "alrw--w----")
        #expect(ModeText.letters(ModeBits.temporary) == "-t---------")
        #expect(ModeText.octal(ModeBits.directory | 0o7) == "0007")
    }
}
