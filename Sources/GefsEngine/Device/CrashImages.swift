import GefsFormat

/// Makes the crash states of a recording, for states that come in the order of the recording.
///
/// What is durable before an interval is made once; a state shares all pages with it that none of
/// its writes touch. Each comes with a hash by which equal contents are told.
public struct CrashImages {
    private let recording: Recording
    private var durable: MemoryImage
    private var durableCount = 0

    /// Images of a recording, none made so far.
    public init(_ recording: Recording) {
        self.recording = recording
        durable = recording.base
    }

    /// The content of a state.
    ///
    /// - Returns: the image, and a hash of where and how it differs from what was durable. States of
    ///   one interval with equal hashes have equal contents.
    public mutating func image(of state: CrashState) -> (image: MemoryImage, hash: UInt64) {
        advance(to: state.durableCount)
        var image = durable
        var touched: Set<Int> = []
        recording.forEachPart(of: state) { offset, bytes in
            guard !bytes.isEmpty else { return }
            bytes.withUnsafeBytes { image.write($0, at: offset) }
            let first = Int(offset / UInt64(MemoryImage.pageBytes))
            let last = Int((offset + UInt64(bytes.count) - 1) / UInt64(MemoryImage.pageBytes))
            touched.formUnion(first...last)
        }
        var hash: UInt64 = 0
        for page in touched where image.page(page) != durable.page(page) {
            let content = image.page(page).withUnsafeBytes { MetroHash64.hash($0) }
            // A sum: the order of a set's members means nothing.
            hash &+= (content ^ UInt64(page)) &* 0x9E37_79B9_7F4A_7C15 ^ UInt64(page) << 40
        }
        return (image, hash)
    }

    private mutating func advance(to count: Int) {
        if count < durableCount {
            durable = recording.base
            durableCount = 0
        }
        for case .write(let offset, let bytes) in recording.events[durableCount..<count] {
            bytes.withUnsafeBytes { durable.write($0, at: offset) }
        }
        durableCount = count
    }
}
