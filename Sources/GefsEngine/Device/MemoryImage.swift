/// The content of a device as a value: copies share pages until one of them is changed.
///
/// A page that was never written holds no memory, so images of large devices are cheap.
public struct MemoryImage: Sendable, Equatable {
    /// Bytes in a page; the last page may reach past the end.
    static let pageBytes = 16384

    /// Length in bytes.
    public private(set) var byteCount: UInt64
    /// The pages; an empty one stands for zeros.
    private var pages: [[UInt8]]

    /// An image of `byteCount` zeros.
    public init(byteCount: UInt64) {
        self.byteCount = byteCount
        pages = Array(repeating: [], count: Self.pageCount(byteCount))
    }

    /// An image of exactly these bytes.
    public init(_ bytes: [UInt8]) {
        self.init(byteCount: UInt64(bytes.count))
        bytes.withUnsafeBytes { write($0, at: 0) }
    }

    private static func pageCount(_ byteCount: UInt64) -> Int {
        Int((byteCount + UInt64(pageBytes) - 1) / UInt64(pageBytes))
    }

    /// The bytes of a page; none stand for zeros.
    func page(_ index: Int) -> [UInt8] { pages[index] }

    /// Makes the image longer, by zeros, or shorter.
    public mutating func resize(to byteCount: UInt64) {
        let count = Self.pageCount(byteCount)
        if count < pages.count {
            pages.removeLast(pages.count - count)
        } else {
            pages.append(contentsOf: repeatElement([], count: count - pages.count))
        }
        self.byteCount = byteCount
        let tail = Int(byteCount % UInt64(Self.pageBytes))
        if tail != 0, let last = pages.indices.last, !pages[last].isEmpty {
            for index in tail..<Self.pageBytes { pages[last][index] = 0 }
        }
    }

    /// Copies the bytes at `offset` to `buffer`, which must lie inside of the image.
    public func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        forEachPart(offset: offset, count: buffer.count) { page, start, range in
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[range])
            if pages[page].isEmpty {
                target.initializeMemory(as: UInt8.self, repeating: 0)
            } else {
                pages[page].withUnsafeBytes { bytes in
                    target.copyMemory(
                        from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + range.count]))
                }
            }
        }
    }

    /// The `count` bytes at `offset`.
    public func bytes(at offset: UInt64, count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
            initialized = count
        }
    }

    /// Replaces the bytes at `offset`, which must lie inside of the image.
    public mutating func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) {
        var done = 0
        while done < buffer.count {
            let position = offset + UInt64(done)
            let page = Int(position / UInt64(Self.pageBytes))
            let start = Int(position % UInt64(Self.pageBytes))
            let count = min(buffer.count - done, Self.pageBytes - start)
            let part = UnsafeRawBufferPointer(rebasing: buffer[done..<done + count])
            if !pages[page].isEmpty || part.contains(where: { $0 != 0 }) {
                if pages[page].isEmpty {
                    pages[page] = [UInt8](repeating: 0, count: Self.pageBytes)
                }
                pages[page].withUnsafeMutableBytes { bytes in
                    UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + count])
                        .copyMemory(from: part)
                }
            }
            done += count
        }
    }

    /// Numbers of the pages that something was written to.
    func heldPages() -> Set<UInt64> {
        Set(pages.indices.lazy.filter { !pages[$0].isEmpty }.map(UInt64.init))
    }

    /// Offset of the first byte that differs, or nil; a shorter image differs at its end.
    public func firstDifference(from other: MemoryImage) -> UInt64? {
        for page in 0..<min(pages.count, other.pages.count) where pages[page] != other.pages[page] {
            for index in 0..<Self.pageBytes {
                let left = pages[page].isEmpty ? 0 : pages[page][index]
                let right = other.pages[page].isEmpty ? 0 : other.pages[page][index]
                if left != right {
                    return UInt64(page) * UInt64(Self.pageBytes) + UInt64(index)
                }
            }
        }
        return byteCount == other.byteCount ? nil : min(byteCount, other.byteCount)
    }

    public static func == (left: MemoryImage, right: MemoryImage) -> Bool {
        left.firstDifference(from: right) == nil
    }

    private func forEachPart(
        offset: UInt64, count: Int, _ body: (_ page: Int, _ start: Int, _ range: Range<Int>) -> Void
    ) {
        var done = 0
        while done < count {
            let position = offset + UInt64(done)
            let start = Int(position % UInt64(Self.pageBytes))
            let part = min(count - done, Self.pageBytes - start)
            body(Int(position / UInt64(Self.pageBytes)), start, done..<done + part)
            done += part
        }
    }
}
