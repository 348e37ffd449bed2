import GefsControl

/// What a copy keeps of a file.
struct CopyItem {
    enum Kind {
        case file
        case directory
        /// What the other side cannot hold: links, devices, sockets.
        case unsupported(String)
    }

    var kind: Kind
    /// Permissions, and the properties that a gefs knows beside them.
    var mode: UInt32
    var size: UInt64
    /// Bytes that hold data, as far as that is known without reading.
    var allocatedBytes: UInt64
    /// Seconds since 1970.
    var modified: Int64
    /// Owner and group by name, where the place is in a gefs.
    var owner: [UInt8]?
    var group: [UInt8]?

    var isDirectory: Bool {
        if case .directory = kind { return true }
        return false
    }
}

/// One end of a copy: the image, or this machine.
protocol CopySide: AnyObject {
    associatedtype Place

    /// The place of a name inside a directory.
    func child(_ name: [UInt8], of place: Place) -> Place
    /// How to call the place in messages.
    func shown(_ place: Place) -> String
    /// What is there; nil where nothing is. Links are followed only if asked for.
    func item(at place: Place, followsLinks: Bool) throws -> CopyItem?
    /// What is in a directory, ordered by name.
    func children(of place: Place, followsLinks: Bool) throws -> [(name: [UInt8], item: CopyItem)]
    /// Hands out a file's contents in order; holes may be left out.
    func readContents(
        of place: Place, _ body: (UInt64, UnsafeRawBufferPointer) throws -> Void) throws
    /// Makes a directory that its owner may fill, unless there is one.
    func makeDirectory(at place: Place, _ item: CopyItem) throws
    /// Makes a file, or empties the one that is there.
    func makeFile(at place: Place, _ item: CopyItem) throws -> any CopySink
    /// Gives a directory the mode and time that it is to keep.
    func finishDirectory(at place: Place, _ item: CopyItem) throws
    /// Bytes that can still be stored near a place; nil where that is not known.
    func freeBytes(near place: Place) throws -> UInt64?

    /// Whether a file may have several names, and extended attributes.
    var keepsPosix: Bool { get }
    /// What tells a file with several names from others; nil for one with a single name.
    func identity(of place: Place) throws -> CopyIdentity?
    /// Gives a file one more name, in place of what has it.
    ///
    /// - Returns: false where that cannot be.
    func makeLink(at place: Place, to existing: Place) throws -> Bool
    /// Extended attributes that may go to another side.
    func attributes(of place: Place) throws -> [CopyAttribute]
    /// Sets an extended attribute.
    ///
    /// - Returns: false where there is no place for it.
    func setAttribute(_ attribute: CopyAttribute, of place: Place) throws -> Bool
}

/// The name and value of an extended attribute.
typealias CopyAttribute = (name: [UInt8], value: [UInt8])

/// A file, whatever its names.
struct CopyIdentity: Hashable {
    var device: UInt64
    var number: UInt64
}

/// Which extended attributes go from an image to this machine, and back: those of users. All others
/// have a meaning to the host, which an image must not decide.
enum CopiedAttributes {
    static func isCopied(_ name: [UInt8]) -> Bool { name.starts(with: "user.".utf8) }
}

/// A file that a copy writes.
protocol CopySink: AnyObject {
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws
    /// Gives the file the size, mode and time of the item, and closes it.
    func finish(_ item: CopyItem) throws
    /// Closes what was not finished.
    func abandon()
}
