import GefsFormat

/// The messages that an update holds at one time: one run for each level that it is in, the
/// deepest on top. Ranges of it stay good while more is pushed; element addresses do not.
struct MessageStack: ~Copyable {
    private var base: UnsafeMutablePointer<MessageView>
    private var capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        self.capacity = max(capacity, 64)
        base = .allocate(capacity: self.capacity)
    }

    deinit {
        base.deallocate()
    }

    @inline(__always)
    subscript(index: Int) -> MessageView {
        assert(index >= 0 && index < count)
        return base[index]
    }

    @inline(__always)
    mutating func push(_ message: MessageView) {
        if count == capacity { grow() }
        (base + count).initialize(to: message)
        count &+= 1
    }

    /// Forgets everything from `count` on.
    mutating func pop(to count: Int) {
        assert(count <= self.count)
        self.count = count
    }

    /// Takes out the messages in `range`; those behind move down.
    mutating func remove(_ range: Range<Int>) {
        (base + range.lowerBound).update(
            from: base + range.upperBound, count: count - range.upperBound)
        count -= range.count
    }

    /// Bytes in a pivot's buffer of the messages in `range`, with their table entries.
    func bufferBytes(_ range: Range<Int>) -> Int {
        var sum = 0
        for index in range { sum &+= base[index].bufferBytes }
        return sum
    }

    /// The end of the messages in `range` for the key of its first one.
    @inline(__always)
    func endOfKey(_ range: Range<Int>) -> Int {
        let key = self[range.lowerBound].key
        var end = range.lowerBound &+ 1
        while end < range.upperBound, compareKeys(base[end].key, key) == 0 { end &+= 1 }
        return end
    }

    private mutating func grow() {
        let larger = UnsafeMutablePointer<MessageView>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }
}
