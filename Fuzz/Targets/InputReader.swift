/// Takes an input apart into the choices that a target makes; behind its end there are zeros.
struct InputReader {
    private(set) var rest: UnsafeRawBufferPointer

    init(_ input: UnsafeRawBufferPointer) {
        rest = input
    }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 {
        guard let first = rest.first else { return 0 }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst())
        return first
    }

    /// Little endian.
    mutating func integer<T: FixedWidthInteger & UnsignedInteger>(_ type: T.Type) -> T {
        var value: T = 0
        for shift in stride(from: 0, to: T.bitWidth, by: 8) { value |= T(byte()) << T(shift) }
        return value
    }

    /// A number below `limit`, which is above 0.
    mutating func number(below limit: Int) -> Int {
        limit <= 256 ? Int(byte()) % limit : Int(integer(UInt32.self)) % limit
    }

    /// At most so many bytes.
    mutating func bytes(_ count: Int) -> UnsafeRawBufferPointer {
        let taken = UnsafeRawBufferPointer(rebasing: rest.prefix(count))
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(taken.count))
        return taken
    }

    /// All bytes up to the next newline, which is passed, or the end.
    mutating func line() -> [UInt8] {
        let line = Array(rest.prefix { $0 != UInt8(ascii: "\n") })
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(line.count + 1))
        return line
    }
}
