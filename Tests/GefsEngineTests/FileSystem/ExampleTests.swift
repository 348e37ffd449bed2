import GefsEngine
import GefsExample
import Testing

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

@Suite
struct ExampleTests {
    @Test
    func `the example keeps a note in an image`() throws {
        var template = Array("/tmp/gefs-example-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        let folder = String(cString: made)
        let path = folder + "/disk.img"
        defer {
            unlink(path)
            rmdir(folder)
        }
        let device = try FileDevice.create(path: path, byteCount: Ream.deviceBytesMin)
        try Ream.run(device: device, user: "glenda")
        device.close()
        let result = try keepNote("remember", image: path)
        #expect(result == "note.txt: remember")
        let again = try keepNote("anew", image: path)
        #expect(again == "note.txt: anew")
    }
}
