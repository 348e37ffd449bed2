#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

extension FileDevice {
    /// Most buffers that one vectored call takes.
    private static var vectorCountMax: Int { 1024 }

    public func read(
        at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(DeviceError) {
        try checkRange(offset: offset, byteCount: buffer.count)
        guard let base = buffer.baseAddress else { return }
        let file = descriptor.load(ordering: .relaxed)
        var done = 0
        while done < buffer.count {
            let moved = pread(
                file, base + done, buffer.count - done, off_t(offset) + off_t(done))
            if moved > 0 {
                done += moved
            } else if moved == 0 {
                // Somebody cut the file since it was opened.
                throw .pastEnd(
                    offset: offset, byteCount: buffer.count, deviceBytes: offset + UInt64(done))
            } else if errno != EINTR {
                throw .readFailed(offset: offset, byteCount: buffer.count, errno: errno)
            }
        }
    }

    public func write(
        at offset: UInt64, from buffer: UnsafeRawBufferPointer
    ) throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
        try checkRange(offset: offset, byteCount: buffer.count)
        guard let base = buffer.baseAddress else { return }
        let file = descriptor.load(ordering: .relaxed)
        var done = 0
        while done < buffer.count {
            let moved = pwrite(
                file, base + done, buffer.count - done, off_t(offset) + off_t(done))
            if moved > 0 {
                done += moved
            } else if moved == 0 || errno != EINTR {
                throw .writeFailed(
                    offset: offset, byteCount: buffer.count, errno: moved == 0 ? EIO : errno)
            }
        }
    }

    public func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer]
    ) throws(DeviceError) {
        let byteCount = buffers.reduce(0) { $0 + $1.count }
        try checkRange(offset: offset, byteCount: byteCount)
        let file = descriptor.load(ordering: .relaxed)
        let vectors = buffers.map { iovec(iov_base: $0.baseAddress, iov_len: $0.count) }
        let outcome = Self.transfer(vectors, at: offset) { vectors, count, position in
            preadv(file, vectors, count, position)
        }
        switch outcome {
        case .complete: return
        case .ended(let reached):
            throw .pastEnd(
                offset: offset, byteCount: byteCount, deviceBytes: offset + UInt64(reached))
        case .failed(let number):
            throw .readFailed(offset: offset, byteCount: byteCount, errno: number)
        }
    }

    public func write(
        at offset: UInt64, from buffers: [UnsafeRawBufferPointer]
    ) throws(DeviceError) {
        guard !isReadOnly else { throw .readOnly }
        let byteCount = buffers.reduce(0) { $0 + $1.count }
        try checkRange(offset: offset, byteCount: byteCount)
        let file = descriptor.load(ordering: .relaxed)
        let vectors = buffers.map {
            iovec(iov_base: UnsafeMutableRawPointer(mutating: $0.baseAddress), iov_len: $0.count)
        }
        let outcome = Self.transfer(vectors, at: offset) { vectors, count, position in
            pwritev(file, vectors, count, position)
        }
        switch outcome {
        case .complete: return
        case .ended:
            throw .writeFailed(offset: offset, byteCount: byteCount, errno: EIO)
        case .failed(let number):
            throw .writeFailed(offset: offset, byteCount: byteCount, errno: number)
        }
    }

    private enum Outcome {
        case complete
        /// A call moved nothing; the count of bytes moved before.
        case ended(Int)
        case failed(errno: Int32)
    }

    /// Repeats `call` until all vectors are done, a call moves nothing, or one fails.
    ///
    /// A transfer that stopped inside a vector goes on there, so callers never see a short one.
    private static func transfer(
        _ all: [iovec], at offset: UInt64,
        _ call: (UnsafePointer<iovec>, Int32, off_t) -> Int
    ) -> Outcome {
        var vectors = all
        var index = 0
        var done = 0
        return vectors.withUnsafeMutableBufferPointer { vectors in
            while true {
                while index < vectors.count, vectors[index].iov_len == 0 { index += 1 }
                guard index < vectors.count, let base = vectors.baseAddress else {
                    return .complete
                }
                let count = min(vectors.count - index, vectorCountMax)
                var moved = call(base + index, Int32(count), off_t(offset) + off_t(done))
                if moved == 0 { return .ended(done) }
                if moved < 0 {
                    if errno == EINTR { continue }
                    return .failed(errno: errno)
                }
                done += moved
                while moved > 0 {
                    let part = min(moved, Int(vectors[index].iov_len))
                    vectors[index].iov_base = vectors[index].iov_base.map { $0 + part }
                    vectors[index].iov_len -= part
                    moved -= part
                    if vectors[index].iov_len == 0 { index += 1 }
                }
            }
        }
    }
}
