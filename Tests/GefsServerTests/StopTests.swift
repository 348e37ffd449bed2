import NIOCore
import NIOPosix
import Testing

@testable import GefsServer

@Suite struct StopTests {
    @Test func `a channel that is closed before it is active does not hold up the end`() throws {
        let server = try TestServer()
        let listener = ListenerConfiguration(
            .tcp(host: "127.0.0.1", port: 0), authentication: .none)
        let client = ClientBootstrap(group: server.server.group)
            .channelInitializer { [server] channel in
                channel.eventLoop.makeCompletedFuture {
                    try server.server.serve(channel, listener)
                }
            }
        #expect(throws: (any Error).self) {
            try client.connect(unixDomainSocketPath: "/nowhere/to/be/found").wait()
        }
        // Tasks of the channel's event loop come before this one.
        for loop in server.server.group.makeIterator() { try loop.submit {}.wait() }
        #expect(server.server.connectionCount == 0)
    }
}
