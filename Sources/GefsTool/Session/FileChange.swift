/// What a wstat is to change; nil leaves a field alone.
struct FileChange {
    var name: [UInt8]?
    var mode: UInt32?
    var size: UInt64?
    /// Seconds since 1970.
    var modified: UInt32?
    var owner: [UInt8]?
    var group: [UInt8]?
}
