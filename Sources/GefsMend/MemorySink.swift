import GefsEngine

/// Rescued files in memory.
package final class MemorySink: RescueSink {
    /// Contents of files, by path.
    package private(set) var files: [String: [UInt8]] = [:]
    package private(set) var directories: Set<String> = []
    package private(set) var modes: [String: UInt32] = [:]
    /// Extended attributes, by path.
    package private(set) var attributes: [String: [String: [UInt8]]] = [:]
    /// What was said of each file.
    package var told: [String: RescuedFile] = [:]

    package init() {}

    package static func text(_ path: [[UInt8]]) -> String {
        path.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "/")
    }

    private func free(_ name: [UInt8], _ parent: [[UInt8]]) -> [UInt8] {
        var candidate = name
        var attempt = 2
        while files[Self.text(parent + [candidate])] != nil
            || directories.contains(Self.text(parent + [candidate]))
        {
            candidate = name + Array("~\(attempt)".utf8)
            attempt += 1
        }
        return candidate
    }

    package func makeDirectory(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> [UInt8] {
        let name = free(name, parent)
        directories.insert(Self.text(parent + [name]))
        return name
    }

    package func makeFile(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> (file: any RescuedFileSink, name: [UInt8]) {
        let name = free(name, parent)
        let path = Self.text(parent + [name])
        files[path] = []
        return (File(self, path), name)
    }

    package func finishDirectory(_ path: [[UInt8]], mode: UInt32, time: Int64) throws(RescueError) {
        modes[Self.text(path)] = mode
    }

    package func setAttribute(
        _ name: [UInt8], to value: [UInt8], of path: [[UInt8]]
    ) throws(RescueError) {
        attributes[Self.text(path), default: [:]][String(decoding: name, as: UTF8.self)] = value
    }

    private final class File: RescuedFileSink {
        private let sink: MemorySink
        private let path: String
        private var bytes: [UInt8] = []

        init(_ sink: MemorySink, _ path: String) {
            self.sink = sink
            self.path = path
        }

        func write(_ part: UnsafeRawBufferPointer, at offset: UInt64) throws(RescueError) {
            let end = Int(offset) + part.count
            if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
            bytes.replaceSubrange(Int(offset)..<end, with: part)
        }

        func setAttribute(_ name: [UInt8], to value: [UInt8]) throws(RescueError) {
            sink.attributes[path, default: [:]][String(decoding: name, as: UTF8.self)] = value
        }

        func finish(length: UInt64, mode: UInt32, time: Int64) throws(RescueError) {
            guard length < 1 << 30 else { throw .refused(why: "too large") }
            if bytes.count < Int(length) {
                bytes += [UInt8](repeating: 0, count: Int(length) - bytes.count)
            }
            sink.files[path] = bytes
            sink.modes[path] = mode
        }

        func abandon() {
            sink.files[path] = nil
        }
    }
}

extension Rescue {
    /// Copies a tree to memory.
    ///
    /// - Returns: nil where there is no such tree.
    package func copied(
        _ name: String
    ) throws(RescueError) -> (sink: MemorySink, report: RescuedTreeReport)? {
        let sink = MemorySink()
        let report = try copy(Array(name.utf8), to: sink) { file throws(RescueError) in
            sink.told[MemorySink.text(file.path)] = file
        }
        return report.map { (sink, $0) }
    }
}
