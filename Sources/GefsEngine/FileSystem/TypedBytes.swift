extension Array where Element == UInt8 {
    /// Lends the bytes to a function whose typed error passes through.
    func withBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        // The array's own method only rethrows any error.
        let result = withUnsafeBytes { (bytes) -> Result<R, E> in
            do throws(E) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }
}
