import GefsFormat
import Testing

@testable import GefsEngine

@Suite
struct ConfigurationTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    private func set(
        _ volume: TestVolume, _ key: String, _ value: String?, _ label: String? = nil
    ) throws {
        try volume.fileSystem.setConfiguration(
            bytes(key), to: value.map(bytes), of: label.map(bytes), as: volume.caller)
    }

    private func all(_ volume: TestVolume, _ label: String? = nil) throws -> [String: String] {
        let entries = try volume.fileSystem.configuration(of: label.map(bytes))
        return Dictionary(
            uniqueKeysWithValues: entries.map {
                (
                    String(decoding: $0.name, as: UTF8.self),
                    String(decoding: $0.value, as: UTF8.self)
                )
            })
    }

    @Test
    func `values are set, replaced and cleared, of the volume and of branches`() throws {
        let volume = try TestVolume()
        for label in [nil, "main"] {
            try set(volume, "a", "1", label)
            try set(volume, "b", "", label)
            #expect(try all(volume, label) == ["a": "1", "b": ""])
            try set(volume, "a", "2", label)
            try volume.reopen()
            #expect(try all(volume, label) == ["a": "2", "b": ""])
            try set(volume, "b", nil, label)
            #expect(try all(volume, label) == ["a": "2"])
        }
        #expect(try all(volume, "adm").isEmpty)
    }

    @Test
    func `snapshots keep what was set, and cannot be set`() throws {
        let volume = try TestVolume()
        try set(volume, "retain", "5@m", "main")
        try volume.fileSystem.change(
            [.snapshot(of: bytes("main"), as: bytes("old"))], as: volume.caller)
        try set(volume, "retain", "6@m", "main")
        #expect(try all(volume, "old") == ["retain": "5@m"])
        #expect(throws: FileError.label(.immutable, bytes("old"))) {
            try set(volume, "retain", "7@m", "old")
        }
        #expect(try all(volume, "main") == ["retain": "6@m"])
    }

    @Test
    func `the label's own schedule comes before the volume's, and that before the default`() throws
    {
        let volume = try TestVolume()
        let main = bytes("main")
        #expect(try volume.fileSystem.retention(of: main).source == .standard)
        #expect(try volume.fileSystem.retention(of: main).policy == .standard)
        try set(volume, "retain", "@d")
        #expect(try volume.fileSystem.retention(of: main).source == .volume)
        try set(volume, "retain", "", "main")
        let setting = try volume.fileSystem.retention(of: main)
        #expect(setting.source == .branch && setting.policy == .empty)
        #expect(try volume.fileSystem.retention(of: nil).text == bytes("@d"))
        try set(volume, "retain", nil, "main")
        #expect(try volume.fileSystem.retention(of: main).source == .volume)
    }

    @Test
    func `what cannot be stored, and what is ours, is refused`() throws {
        let volume = try TestVolume()
        let bad = [
            ("", "1"), (String(repeating: "k", count: 256), "1"), ("gefs.clear.1", "1"),
            ("gefs.time.main", nil), ("a", String(repeating: "v", count: 513)),
        ]
        for label in [nil, "main"] {
            for (key, value) in bad {
                #expect(throws: FileError.label(.badConfiguration, bytes(key))) {
                    try set(volume, key, value, label)
                }
            }
            try set(
                volume, String(repeating: "k", count: 255), String(repeating: "v", count: 512),
                label)
        }
        #expect(try all(volume).count == 1)
    }

    @Test
    func `read-only volumes refuse and tell`() throws {
        let volume = try TestVolume()
        try set(volume, "a", "1", "main")
        try set(volume, "b", "2")
        var options = TestVolume.options
        options.isReadOnly = true
        try volume.reopen(options: options)
        #expect(try all(volume, "main") == ["a": "1"])
        #expect(try all(volume) == ["b": "2"])
        for label in [nil, "main"] {
            #expect(throws: FileError.readOnly) { try set(volume, "a", "2", label) }
        }
    }
}
