import GefsEngine
import Testing

@testable import GefsControl
@testable import GefsTool

struct ReportTests {
    @Test func `a report is one line of JSON with its type in it`() throws {
        let line = try ReportLine.encode(MessageReport("a \"quoted\"\nline / slash"))
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"{"text":"a \"quoted\"\nline / slash","type":"message"}"#)
        #expect(try ReportLine.type(of: line) == "message")
        #expect(
            try ReportLine.decode(MessageReport.self, from: line).text
                == "a \"quoted\"\nline / slash")
    }

    @Test func `a failure says what, why, and what to do`() throws {
        let failure = CommandFailure("disk.img", "busy", next: "wait", status: .busy)
        #expect(failure.description == "gefs: disk.img: busy\n      wait")
        #expect(CommandFailure("", "interrupted").description == "gefs: interrupted")
        let line = try ReportLine.encode(failure)
        #expect(try ReportLine.decode(CommandFailure.self, from: line) == failure)
        #expect(
            String(decoding: line, as: UTF8.self)
                == #"{"next":"wait","status":5,"type":"error","what":"disk.img","why":"busy"}"#)
    }

    @Test func `a report of a newer server is shown as it came`() throws {
        let line = Array(#"{"type":"novelty","x":1}"#.utf8)
        #expect(try ReportText().lines("novelty", line) == [#"{"type":"novelty","x":1}"#])
    }

    @Test func `console lines are split as rc does`() {
        #expect(ControlWords.split("snap  list") == ["snap", "list"])
        #expect(ControlWords.split(" a 'b c'  'd''e' ''") == ["a", "b c", "d'e", ""])
        #expect(ControlWords.split("x'y z'") == ["xy z"])
        #expect(ControlWords.split("'it''s' ''") == ["it's", ""])
        #expect(ControlWords.split("").isEmpty)
    }

    @Test func `tables line up and end without spaces`() {
        var table = TextTable([.left, .right, .left])
        table.append(["a", "1", "x"])
        table.append(["long", "100"])
        #expect(table.lines() == ["a       1  x", "long  100"])
    }

    @Test func `times are ISO 8601, nanoseconds only where there are some`() {
        #expect(Timestamp.text(seconds: 1_000_000_000) == "2001-09-09T01:46:40Z")
        #expect(
            Timestamp.text(nanoseconds: 1_000_000_000_000_000_007)
                == "2001-09-09T01:46:40.000000007Z")
        #expect(Timestamp.text(nanoseconds: -1) == "1969-12-31T23:59:59.999999999Z")
        #expect(Timestamp.text(nanoseconds: 0) == "1970-01-01T00:00:00Z")
    }

    @Test func `errors of the engine become exit statuses`() {
        #expect(CommandFailure("x", FileError.volumeFull).status == .noSpace)
        #expect(CommandFailure("x", FileError.permissionDenied).status == .permission)
        #expect(CommandFailure("x", DeviceError.busy(path: "x")).status == .busy)
        #expect(CommandFailure("x", DeviceError.notFound(path: "x")).status == .noImage)
        #expect(CommandFailure("x", FileError.device(.flushFailed(errno: 5))).status == .failed)
    }
}
