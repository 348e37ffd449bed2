/// Random access storage that a volume lives on: a file, a disk, or memory.
///
/// Every operation may be called from any thread and may block. Offsets and lengths are bytes.
/// A write is durable only after a later `flush()` has returned; until then a crash may keep
/// all, none, or any 512-byte sectors of it, in any order.
public protocol BlockDevice: AnyObject, Sendable {
    /// Length of the device in bytes.
    var byteCount: UInt64 { get }

    /// Whether `write` and `flush` are refused.
    var isReadOnly: Bool { get }

    /// What to call the device in messages: its path, for a file.
    var name: String { get }

    /// Fills `buffers`, one after the other, with the bytes from `offset` on: all or an error.
    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError)

    /// Fills one buffer with the bytes from `offset` on: all or an error.
    func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(DeviceError)

    /// Writes `buffers`, one after the other, from `offset` on: all or an error.
    func write(at offset: UInt64, from buffers: [UnsafeRawBufferPointer]) throws(DeviceError)

    /// Writes one buffer at `offset`: all or an error.
    func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(DeviceError)

    /// Says that a range was written which will be flushed soon, so that the device may begin.
    ///
    /// Promises nothing and never fails.
    func startWriteback(at offset: UInt64, byteCount: Int)

    /// The first range from `offset` on that may hold anything but zeros, so that reads of what a
    /// sparse file does not hold can be left out.
    ///
    /// - Returns: nil where only zeros follow up to the end.
    func dataRange(from offset: UInt64) -> Range<UInt64>?

    /// Returns when every write that returned before the call is durable.
    ///
    /// After an error nothing is known about those writes; never repeat a failed flush.
    func flush() throws(DeviceError)

    /// Releases the device and its lock. Further operations fail.
    func close()
}

extension BlockDevice {
    public func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DeviceError) {
        try read(at: offset, into: [buffer])
    }

    public func write(
        at offset: UInt64, from buffer: UnsafeRawBufferPointer
    ) throws(DeviceError) {
        try write(at: offset, from: [buffer])
    }

    public func startWriteback(at offset: UInt64, byteCount: Int) {}

    public func dataRange(from offset: UInt64) -> Range<UInt64>? {
        offset < byteCount ? offset..<byteCount : nil
    }

    /// Refuses a transfer that does not lie on the device wholly.
    func checkRange(offset: UInt64, byteCount count: Int) throws(DeviceError) {
        let (end, overflow) = offset.addingReportingOverflow(UInt64(count))
        guard !overflow, end <= byteCount else {
            throw .pastEnd(offset: offset, byteCount: count, deviceBytes: byteCount)
        }
    }
}
