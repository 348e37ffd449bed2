/// The order of keys: bytes as unsigned numbers, and on a tie the shorter key first.
///
/// - Returns: below, equal to or above 0 as `a` sorts before, with or behind `b`.
///
/// Source: FORMAT 6.2, "Key order".
@inlinable
public func compareKeys(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
    let common = min(a.count, b.count)
    guard common > 0, let left = a.baseAddress, let right = b.baseAddress else {
        return a.count &- b.count
    }
    var offset = 0
    if common >= 8 {
        // Words read big-endian compare like their bytes. The last word may overlap the one
        // before: those bytes are equal by then.
        let last = common &- 8
        while true {
            let x = left.loadBigEndian(at: offset, as: UInt64.self)
            let y = right.loadBigEndian(at: offset, as: UInt64.self)
            if x != y { return x < y ? -1 : 1 }
            if offset == last { return a.count &- b.count }
            offset = min(offset &+ 8, last)
        }
    }
    while offset < common {
        let x = left.load(fromByteOffset: offset, as: UInt8.self)
        let y = right.load(fromByteOffset: offset, as: UInt8.self)
        if x != y { return Int(x) &- Int(y) }
        offset &+= 1
    }
    return a.count &- b.count
}
