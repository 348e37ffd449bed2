/// Something that is fed bytes which nobody can trust.
///
/// The fuzzer calls it millions of times in one process, and the tests replay what it found: a target
/// depends on nothing but its input. With `InputBatch.isOpen` it may go on with what earlier inputs
/// have left, until `settle`.
public protocol FuzzTarget: Sendable {
    /// What the command line and the folder of its corpus call it.
    static var name: String { get }

    init() throws

    /// Does with the input what a program would do with it.
    ///
    /// - Throws: `FuzzFinding` where a promise is broken; a trap, a hang and memory without bound are
    ///   found by whoever calls.
    func run(_ input: UnsafeRawBufferPointer) throws

    /// Ends a batch: looks at what its inputs have left, and forgets it.
    func settle() throws
}

extension FuzzTarget {
    public func settle() throws {}

    /// Runs what was once kept: an input, or the inputs of a batch.
    public func replay(_ bytes: UnsafeRawBufferPointer) throws {
        guard let inputs = InputBatch.inputs(in: bytes) else { return try run(bytes) }
        InputBatch.isOpen.store(true, ordering: .relaxed)
        defer { InputBatch.isOpen.store(false, ordering: .relaxed) }
        for input in inputs { try run(input) }
        try settle()
    }
}

/// A promise that an input has broken.
public struct FuzzFinding: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Reports a finding unless the promise holds.
func promise(_ holds: Bool, _ what: @autoclosure () -> String) throws {
    if !holds { throw FuzzFinding(what()) }
}

/// All targets.
public enum FuzzTargets {
    public static let all: [any FuzzTarget.Type] = [
        FrameFuzz.self, SessionFuzz.self, ImageFuzz.self, ConsoleFuzz.self, RetentionFuzz.self,
        UserFuzz.self, OptionFuzz.self,
    ]

    /// The target of that name, ready to run; nil where there is none.
    public static func make(_ name: String) throws -> (any FuzzTarget)? {
        try all.first { $0.name == name }?.init()
    }
}
