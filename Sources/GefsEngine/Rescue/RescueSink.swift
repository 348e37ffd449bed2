/// Where rescued files go. Used by one thread.
///
/// Names are safe to use: none is empty, `.` or `..`, or holds a slash or a NUL. Where a name is
/// taken another one is chosen and returned.
public protocol RescueSink: AnyObject {
    /// Makes a directory that can be filled.
    ///
    /// - Parameters:
    ///   - name: its name in the directory `parent`.
    ///   - parent: the names from the top down to the directory that holds it, as returned.
    /// - Returns: the name that it got.
    func makeDirectory(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> [UInt8]

    /// Makes an empty file.
    ///
    /// - Returns: the file, and the name that it got.
    func makeFile(
        _ name: [UInt8], in parent: [[UInt8]]
    ) throws(RescueError) -> (file: any RescuedFileSink, name: [UInt8])

    /// Gives a directory that is not touched any more its mode and time.
    ///
    /// - Parameter time: nanoseconds since 1970.
    func finishDirectory(_ path: [[UInt8]], mode: UInt32, time: Int64) throws(RescueError)

    /// Gives a directory an extended attribute, where there is a place for it.
    func setAttribute(_ name: [UInt8], to value: [UInt8], of path: [[UInt8]]) throws(RescueError)
}

extension RescueSink {
    /// Has no place for it.
    public func setAttribute(
        _ name: [UInt8], to value: [UInt8], of path: [[UInt8]]
    ) throws(RescueError) {}
}

/// A file that is being written.
public protocol RescuedFileSink: AnyObject {
    /// Stores bytes at an offset; what is not stored up to the file's end is a hole.
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(RescueError)

    /// Gives the file an extended attribute, where there is a place for it.
    func setAttribute(_ name: [UInt8], to value: [UInt8]) throws(RescueError)

    /// Gives the file its length, mode and time, and closes it.
    ///
    /// - Parameter time: nanoseconds since 1970.
    func finish(length: UInt64, mode: UInt32, time: Int64) throws(RescueError)

    /// Closes a file that could not be written, and removes it.
    func abandon()
}

extension RescuedFileSink {
    /// Has no place for it.
    public func setAttribute(_ name: [UInt8], to value: [UInt8]) throws(RescueError) {}
}
