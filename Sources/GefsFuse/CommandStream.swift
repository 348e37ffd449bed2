import GefsEngine

/// A `ctl` that a program has open: what it wrote, and behind each command what came of it.
///
/// The kernel does not say when it is opened; so each time that the name is looked up there is a new
/// one, of which only the program knows that has looked it up.
final class CommandStream: Sendable {
    private let perform: @Sendable (String) -> (answer: String, isDone: Bool)
    private let lock = Lock()
    /// lock.
    private nonisolated(unsafe) var content: [UInt8] = []

    init(_ perform: @escaping @Sendable (String) -> (answer: String, isDone: Bool)) {
        self.perform = perform
    }

    /// Where the last answer ends.
    var byteCount: Int { lock.locked { content.count } }

    /// Forgets all.
    func clear() {
        lock.locked { content = [] }
    }

    /// Carries out the lines of one write; false where one of them was refused. What they said is
    /// where the program reads on.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> Bool {
        guard offset <= Self.offsetMax else { return false }
        var answers: [UInt8] = []
        var isDone = true
        for line in bytes.split(separator: UInt8(ascii: "\n")) where isDone {
            let result = perform(String(decoding: line, as: UTF8.self))
            answers += Array(result.answer.utf8)
            isDone = result.isDone
        }
        lock.locked {
            if content.count > offset {
                content.removeLast(content.count - offset)
            } else {
                content += [UInt8](repeating: 0, count: offset - content.count)
            }
            if isDone { content += Array(bytes) }
            content += answers
        }
        return isDone
    }

    /// A program that writes farther out than this has no conversation.
    private static let offsetMax = 16 << 20

    func read(at offset: Int, atMost count: Int) -> [UInt8] {
        lock.locked { Array(content.dropFirst(offset).prefix(count)) }
    }
}
