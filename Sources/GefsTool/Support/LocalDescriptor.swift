import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads and writes of files on this machine: whole, and not disturbed by signals.
enum LocalDescriptor {
    #if os(Linux)
        /// lseek(2): to the next byte that is no hole. The overlay does not show the macro.
        static let seekData: Int32 = 3
        /// utimensat(2): leave this time alone.
        static let untouchedTime = (1 << 30) - 2
    #else
        static let seekData = SEEK_DATA
        static let untouchedTime = Int(UTIME_OMIT)
    #endif

    /// Writes all bytes where the descriptor stands.
    static func writeAll(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, name: String
    ) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = write(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { throw OutputClosed() }
                throw failure(name)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Writes all bytes at an offset.
    static func writeAll(
        _ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64, name: String
    ) throws {
        var (rest, position) = (bytes, offset)
        while !rest.isEmpty {
            let count = pwrite(descriptor, rest.baseAddress, rest.count, off_t(position))
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(name)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            position += UInt64(count)
        }
    }

    /// Reads until the buffer is full or the input ends; returns the bytes read.
    ///
    /// - Parameter isStream: the input may let one wait, and a signal is to end that.
    static func readFully(
        _ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, isStream: Bool, name: String
    ) throws -> Int {
        var filled = 0
        while filled < buffer.count {
            if isStream { try Interruption.waitUntilReadable(descriptor) }
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
            let count = read(descriptor, rest.baseAddress, rest.count)
            if count < 0 {
                if errno == EINTR { continue }
                throw failure(name)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// What the last system call on this thread says, about `name`.
    static func failure(_ name: String, _ code: Int32 = errno) -> CommandFailure {
        let status: ExitStatus
        switch code {
        case ENOSPC, EDQUOT: status = .noSpace
        case EACCES, EPERM: status = .permission
        default: status = .failed
        }
        return CommandFailure(ByteText.shown(name), message(of: code), status: status)
    }

    /// The system's words for an error number.
    static func message(of code: Int32) -> String {
        String(cString: strerror(code))
    }
}
