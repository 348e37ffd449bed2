extension ListenAddress {
    /// Where a TCP listener binds when no host is said: nothing leaves the machine unasked.
    static let hostWhereNoneIsSaid = "127.0.0.1"

    /// What a host's name is not taken for in front of a colon.
    static let kinds: Set<String> = ["fd", "unix"]

    #if os(Linux)
        static let pathBytesMax = 107
    #else
        static let pathBytesMax = 103
    #endif

    /// Reads `host:port`, `[v6]:port`, `:port`, `unix:/path`, `stdio`, `fd:N` and the dial strings
    /// `tcp!host!port`, `unix!path`. A host `*` means every interface, a missing one loopback.
    ///
    /// - Throws: `ListenAddressError`.
    public init(_ text: String) throws(ListenAddressError) {
        guard !text.isEmpty else { throw .empty }
        if text == "stdio" {
            self = .standardIO
        } else if let rest = text.after("unix:") ?? text.after("unix!") {
            self = try .checked(path: rest)
        } else if let rest = text.after("fd:") {
            guard let number = Int32(rest), number >= 0 else { throw .badDescriptor(text) }
            self = .descriptor(number)
        } else if let rest = text.after("tcp!") {
            guard let mark = rest.lastIndex(of: "!") else { throw .missingPort(text) }
            self = try .tcp(
                host: String(rest[..<mark]), portText: rest[rest.index(after: mark)...], in: text)
        } else if text.hasPrefix("[") {
            guard let close = text.firstIndex(of: "]") else { throw .unclosedBracket(text) }
            let host = String(text[text.index(after: text.startIndex)..<close])
            guard !host.isEmpty else { throw .missingHost(text) }
            guard let port = String(text[text.index(after: close)...]).after(":") else {
                throw .missingPort(text)
            }
            self = try .tcp(host: host, portText: port[...], in: text)
        } else {
            guard let mark = text.lastIndex(of: ":") else { throw .missingPort(text) }
            let host = String(text[..<mark])
            // More than one colon without brackets: where the host ends is a guess.
            guard !host.contains(":") else { throw .badPort(text) }
            self = try .tcp(host: host, portText: text[text.index(after: mark)...], in: text)
        }
    }

    private static func checked(path: String) throws(ListenAddressError) -> ListenAddress {
        guard !path.isEmpty else { throw .emptyPath }
        guard path.utf8.count <= pathBytesMax else {
            throw .pathTooLong(path, byteCount: path.utf8.count, limit: pathBytesMax)
        }
        return .unix(path: path)
    }

    private static func tcp(
        host: String, portText: Substring, in text: String
    ) throws(ListenAddressError) -> ListenAddress {
        guard !portText.isEmpty else { throw .missingPort(text) }
        // What is left of brackets and dial strings that are put together wrong is no host.
        guard host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && !"[]!".utf8.contains($0) }) else {
            throw .badHost(text)
        }
        let host = host.isEmpty ? hostWhereNoneIsSaid : host == "*" ? "0.0.0.0" : host
        if let port = services[String(portText)] { return .tcp(host: host, port: port) }
        guard portText.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = UInt16(portText)
        else { throw .badPort(text) }
        return .tcp(host: host, port: Int(port))
    }

    /// The service names that 9P is known by.
    private static let services = ["9fs": 564, "9pfs": 564]
}

extension String {
    /// What follows a prefix, nil without it.
    fileprivate func after(_ prefix: String) -> String? {
        hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
    }
}
