import GefsControl
import GefsEngine
import NineP
import Testing

@testable import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The console's socket: lines in, answers and prompts out. Source: SEMANTICS 9.
@Suite struct ConsoleTests {
    private static let prompt = "gefs# "

    /// A client of the console that waits for prompts.
    private final class Client {
        let descriptor: Int32
        private var received: [UInt8] = []

        init(_ test: TestServer) throws {
            descriptor = try UnixSocket.connect(to: test.consolePath)
            var patience = timeval(tv_sec: 20, tv_usec: 0)
            setsockopt(
                descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience,
                socklen_t(MemoryLayout<timeval>.size))
        }

        deinit { close(descriptor) }

        func send(_ text: String) {
            let bytes = Array(text.utf8)
            _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        }

        /// What comes until the prompt has come so many times; all there is at the end.
        func answer(prompts: Int = 1) -> String {
            var text = ""
            var seen = 0
            while seen < prompts {
                var piece = [UInt8](repeating: 0, count: 65536)
                let count = read(descriptor, &piece, piece.count)
                guard count > 0 else { break }
                received += piece[..<count]
                text = String(decoding: received, as: UTF8.self)
                seen = text.split(separator: prompt, omittingEmptySubsequences: false).count - 1
            }
            received = []
            return text
        }

        func ask(_ line: String) -> String {
            send(line + "\n")
            return answer()
        }

        /// Whether the other end closes the connection.
        func isClosed() -> Bool {
            var byte: UInt8 = 0
            return read(descriptor, &byte, 1) == 0
        }
    }

    @Test func `commands have the original's words`() throws {
        let test = try TestServer(hasConsole: true)
        let client = try Client(test)
        #expect(client.answer() == "gefs# ")
        func expect(
            _ line: String, _ answer: String, _ location: SourceLocation = #_sourceLocation
        ) {
            #expect(client.ask(line) == answer + "\ngefs# ", sourceLocation: location)
        }
        expect("sync", "synced")
        expect("users", "refreshed users")
        expect("snap main one", "labeled: one from main")
        expect("snap main one", "snap: already exists 'one'")
        expect("snap -m main 'it''s a'", "snap: no name for a branch or snapshot: 'it's a'")
        expect("snap -m main 'it''s'", "forked: it's from main")
        expect("fork main two", "forked: two from main")
        expect("snap nowhere three", "snap: open 'nowhere': does not exist")
        expect(
            "snap -l", "adm [mutable]\nempty\nit's [mutable]\nmain [mutable]\none\ntwo [mutable]")
        expect("snap -d one", "deleted: one")
        expect("snap -d one", "snap: open 'one': does not exist")
        expect("delsnap two", "deleted: two")
        expect("reserve off", "reserve: 1 → 0")
        #expect(test.fileSystem.isReserveOpen)
        expect("usereserve 0", "reserve: 0 → 1")
        #expect(!test.fileSystem.isReserveOpen)
        expect("dance 'a b'", "unknown command 'dance a b'")
        expect(
            "show users", "-1:adm::glenda\n0:none::\n1:glenda:glenda:\n2:bob:bob:\n9999:nogroup::")
        expect("save trace", "no trace is kept: nothing was saved")
        expect("halt", "test: no server holds it")
        for line in [
            "help", "df", "check", "show bstate", "show free", "show tree", "show tree adm",
            "debug 1", "debug superblock",
        ] {
            let answer = client.ask(line)
            #expect(answer.count > 20 && answer.hasSuffix("\ngefs# "), "\(line)")
        }
        #expect(client.ask("check").hasSuffix("ok: 0 errors, 0 warnings\ngefs# "))
    }

    @Test func `12_26 refused names leave the server as it was`() throws {
        let test = try TestServer(hasConsole: true)
        let client = try Client(test)
        _ = client.answer()
        for line in [
            "snap main dump", "snap main adm", "snap main empty", "snap -d adm", "snap -d empty",
            "snap -d dump", "snap x dump", "fork main dump", "delsnap adm", "snap main ''",
            "snap main %x", "snap main a/b", "snap main .",
        ] {
            #expect(client.ask(line).hasPrefix("snap: "), "\(line)")
        }
        #expect(!test.fileSystem.isReadOnly)
        #expect(client.ask("snap main fine") == "labeled: fine from main\ngefs# ")
    }

    @Test func `lines come in any pieces`() throws {
        let test = try TestServer(hasConsole: true)
        let client = try Client(test)
        _ = client.answer()
        client.send("sy")
        usleep(20_000)
        client.send("nc\r\n\n  \nusers\nsync")
        #expect(client.answer(prompts: 4) == "synced\ngefs# gefs# gefs# refreshed users\ngefs# ")
        // The last line needs no end.
        shutdown(client.descriptor, Int32(SHUT_WR))
        #expect(client.answer(prompts: 1) == "synced\ngefs# ")
        #expect(client.isClosed())
    }

    @Test func `a line that is too long is refused, and the next one is not`() throws {
        let test = try TestServer(hasConsole: true)
        let client = try Client(test)
        _ = client.answer()
        for length in [1025, 5000, 300_000] {
            client.send(String(repeating: "x", count: length) + "\n")
            #expect(client.answer() == "line too long\ngefs# ")
            #expect(client.ask("sync") == "synced\ngefs# ")
        }
        #expect(client.ask(String(repeating: "x", count: 1024)).hasPrefix("unknown command"))
    }

    @Test func `who does not read holds up nobody, and not the end of the server`() throws {
        let test = try TestServer(hasConsole: true) { $0.stopPatience = .milliseconds(200) }
        let deaf = try Client(test)
        _ = fcntl(deaf.descriptor, F_SETFL, O_NONBLOCK)
        // More answers than any buffer takes; what cannot be sent is refused by the kernel.
        let lines = Array(String(repeating: "help\n", count: 1000).utf8)
        var sent = 0
        for _ in 0..<200 {
            let count = lines.withUnsafeBytes { write(deaf.descriptor, $0.baseAddress, $0.count) }
            if count < 0 { usleep(2000) } else { sent += count }
        }
        #expect(sent < 200 * lines.count, "the server went on reading")
        let client = try Client(test)
        _ = client.answer()
        #expect(client.ask("sync") == "synced\ngefs# ")
        #expect(try test.root().status().isDirectory)
        let start = ContinuousClock.now
        test.server.stop()
        #expect(ContinuousClock.now - start < .seconds(10))
        #expect(client.isClosed())
    }

    @Test func `an answer is cut where it is too long to be held`() throws {
        struct Talker: ControlHandler {
            func run(_ command: String, user: UserID) -> String {
                String(repeating: "talk talk\n", count: 1 << 20)
            }

            func run(_ command: String, user: UserID, output: (String) -> Void) {
                for _ in 0..<1 << 20 { output("talk talk\n") }
            }
        }
        let test = try TestServer(hasConsole: true) { $0.controlHandler = Talker() }
        let client = try Client(test)
        _ = client.answer()
        let answer = client.ask("x")
        #expect(answer.utf8.count < ConsoleConnection.answerBytesMax + 100)
        #expect(
            answer.hasSuffix("talk\nthe answer is too long for the console: use gefs ctl\ngefs# "))
    }

    @Test func `connections are bounded, and those that go make room`() throws {
        let test = try TestServer(hasConsole: true)
        var clients = try (0..<NinePServer.consolesMax).map { _ in try Client(test) }
        for client in clients { #expect(client.answer() == "gefs# ") }
        let late = try Client(test)
        #expect(late.isClosed())
        clients.removeLast(3)
        var answer = ""
        for _ in 0..<200 where answer.isEmpty {
            answer = try Client(test).answer()
            if answer.isEmpty { usleep(10_000) }
        }
        #expect(answer == "gefs# ")
    }

    @Test func `the socket is private and goes with the server`() throws {
        let test = try TestServer(hasConsole: true)
        #expect(mode(of: test.consolePath) == 0o600)
        test.server.stop()
        #expect(mode(of: test.consolePath) == nil)
    }

    @Test func `commands of several consoles run beside each other`() throws {
        let test = try TestServer(hasConsole: true)
        onThreads(8) { index in
            do {
                let client = try Client(test)
                _ = client.answer()
                for round in 0..<10 {
                    let name = "label-\(index)-\(round)"
                    #expect(client.ask("snap main \(name)") == "labeled: \(name) from main\ngefs# ")
                    #expect(client.ask("snap -d \(name)") == "deleted: \(name)\ngefs# ")
                }
            } catch {
                Issue.record("\(error)")
            }
        }
        #expect(try test.fileSystem.labels().count == 3)
    }

    private func mode(of path: String) -> UInt32? {
        var status = stat()
        return lstat(path, &status) == 0 ? UInt32(status.st_mode & 0o777) : nil
    }
}
