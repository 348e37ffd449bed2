import Testing

@testable import GefsServer

@Suite struct ListenAddressTests {
    @Test(arguments: [
        ("127.0.0.1:5640", ListenAddress.tcp(host: "127.0.0.1", port: 5640)),
        ("localhost:0", .tcp(host: "localhost", port: 0)),
        (":5640", .tcp(host: "127.0.0.1", port: 5640)),
        ("*:5640", .tcp(host: "0.0.0.0", port: 5640)),
        ("[::1]:5640", .tcp(host: "::1", port: 5640)),
        ("tcp!host.example!564", .tcp(host: "host.example", port: 564)),
        ("tcp!*!9fs", .tcp(host: "0.0.0.0", port: 564)),
        ("tcp!::1!5640", .tcp(host: "::1", port: 5640)),
        ("tcp!fd!5640", .tcp(host: "fd", port: 5640)),
        ("tcp!unix!5640", .tcp(host: "unix", port: 5640)),
        ("unix:/run/gefs.sock", .unix(path: "/run/gefs.sock")),
        ("unix!/run/gefs.sock", .unix(path: "/run/gefs.sock")),
        ("unix:relative", .unix(path: "relative")),
        ("stdio", .standardIO),
        ("fd:3", .descriptor(3)),
    ])
    func `an address is understood`(text: String, address: ListenAddress) throws {
        #expect(try ListenAddress(text) == address)
        #expect(try ListenAddress(address.description) == address)
    }

    @Test(arguments: [
        ("", ListenAddressError.empty),
        ("host", .missingPort("host")),
        ("host:", .missingPort("host:")),
        ("host:port", .badPort("host:port")),
        ("host:65536", .badPort("host:65536")),
        ("host:-1", .badPort("host:-1")),
        ("host:+1", .badPort("host:+1")),
        ("::1:5640", .badPort("::1:5640")),
        ("[::1:5640", .unclosedBracket("[::1:5640")),
        ("[::1]", .missingPort("[::1]")),
        ("[::1]5640", .missingPort("[::1]5640")),
        ("[]:5640", .missingHost("[]:5640")),
        ("[[]:5640", .badHost("[[]:5640")),
        ("tcp!a]b!5640", .badHost("tcp!a]b!5640")),
        ("tcp!unix!b!5640", .badHost("tcp!unix!b!5640")),
        ("a b:5640", .badHost("a b:5640")),
        ("tcp!host", .missingPort("tcp!host")),
        ("tcp!host!", .missingPort("tcp!host!")),
        ("unix:", .emptyPath),
        ("fd:", .badDescriptor("fd:")),
        ("fd:-1", .badDescriptor("fd:-1")),
    ])
    func `a wrong address is a typed error`(text: String, error: ListenAddressError) {
        #expect(throws: error) { try ListenAddress(text) }
        #expect(!error.description.isEmpty)
    }

    @Test func `a socket's path must fit an address`() throws {
        let longest = String(repeating: "x", count: ListenAddress.pathBytesMax)
        #expect(try ListenAddress("unix:" + longest) == .unix(path: longest))
        #expect(throws: ListenAddressError.self) { try ListenAddress("unix:x" + longest) }
    }

    @Test func `descriptors are taken only by the process they were passed to`() {
        #expect(
            PassedDescriptors.parse(count: "2", process: "17", ownProcess: 17)
                == [.descriptor(3), .descriptor(4)])
        #expect(PassedDescriptors.parse(count: "2", process: "18", ownProcess: 17).isEmpty)
        #expect(PassedDescriptors.parse(count: "-1", process: "17", ownProcess: 17).isEmpty)
        #expect(PassedDescriptors.parse(count: "x", process: "17", ownProcess: 17).isEmpty)
        #expect(PassedDescriptors.parse(count: "99999", process: "17", ownProcess: 17).isEmpty)
    }
}
