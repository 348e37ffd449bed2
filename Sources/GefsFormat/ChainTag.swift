/// What a block of a log or deadlist of ours says about itself in a field that has no meaning.
///
/// The hash of a chain's block covers its entries, but neither the link to the next block nor
/// where the block lies: a damaged link, or a block that was written to a wrong place, would pass
/// for a good one, and blocks that are in use would be freed by it. The hash field of a link means
/// nothing (FORMAT 2), so ours holds both, mixed with the entries' hash. Blocks of the original
/// have anything there, and are taken as they are.
struct ChainTag: Hashable {
    /// What can be told of a block.
    enum Verdict: Hashable {
        /// Nothing is known: the original has written it.
        case untagged
        case good
        /// The block was written for another place.
        case misplaced(BlockAddress)
        /// A bit of the link has changed.
        case link(BlockAddress, expected: BlockAddress)
    }

    /// Spreads an address over the field, so that a changed bit of it does not make another one.
    private static let spread: UInt64 = 0x9e37_79b9_7f4a_7c15
    /// Its inverse modulo 2^64.
    private static let inverse: UInt64 = 0xf1de_83e1_9937_733d
    /// No larger device is thought of; so few values of the field mean a place by chance.
    private static let addressBitCount: UInt64 = 46

    /// The field of a block.
    static func make(entries hash: UInt64, next: BlockAddress, at address: BlockAddress) -> UInt64 {
        mix(hash, next.rawValue) ^ (address.rawValue &* spread)
    }

    /// What the field says of a block that lies at `address`.
    static func verdict(
        _ field: UInt64, entries hash: UInt64, next: BlockAddress, at address: BlockAddress
    ) -> Verdict {
        let claimed = BlockAddress(rawValue: (field ^ mix(hash, next.rawValue)) &* inverse)
        if claimed == address { return .good }
        if claimed.isAligned, claimed.rawValue >> addressBitCount == 0 {
            return .misplaced(claimed)
        }
        for bit in 0..<UInt64(UInt64.bitWidth) {
            let other = BlockAddress(rawValue: next.rawValue ^ 1 << bit)
            if make(entries: hash, next: other, at: address) == field {
                return .link(next, expected: other)
            }
        }
        return .untagged
    }

    private static func mix(_ hash: UInt64, _ next: UInt64) -> UInt64 {
        withUnsafeBytes(of: (hash.bigEndian, next.bigEndian)) { MetroHash64.hash($0) }
    }
}
