/// A key of a tree, as the bytes that are compared and stored.
///
/// Source: FORMAT 7.
public struct Key: Hashable, Comparable, Sendable {
    /// The key's bytes; the first is its kind.
    public let bytes: [UInt8]

    /// A key of these bytes; nothing is checked.
    public init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A key that copies these bytes; nothing is checked.
    public init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = Array(bytes)
    }

    private init(byteCount: Int, _ encode: (UnsafeMutableRawPointer) -> Int) {
        bytes = Array(unsafeUninitializedCapacity: byteCount) { buffer, count in
            guard let start = buffer.baseAddress else { return }
            count = encode(UnsafeMutableRawPointer(start))
        }
    }

    /// Lends the bytes.
    @inlinable
    public func withBytes<R, E: Error>(
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        // The typed error has to travel as a result: the array's own method only rethrows any.
        let result = bytes.withUnsafeBytes { (bytes) -> Result<R, E> in
            do throws(E) { return .success(try body(bytes)) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// In the order of the tree.
    public static func < (left: Key, right: Key) -> Bool {
        left.withBytes { left in right.withBytes { right in compareKeys(left, right) < 0 } }
    }
}

extension Key {
    /// The block at `offset` of the file `qid`. Value: block pointer.
    public static func data(_ qid: UInt64, offset: UInt64) -> Key {
        Key(byteCount: KeyEncoding.twoNumberBytes) {
            KeyEncoding.data(qid, offset: offset, into: $0)
        }
    }

    /// What the keys of all blocks of the file `qid` start with.
    public static func dataPrefix(_ qid: UInt64) -> Key { oneNumber(.data, qid) }

    /// The file `name` in the directory `parent`. Value: directory entry.
    ///
    /// A name longer than `Geometry.posixNameBytesMax` gives a key that no tree holds.
    public static func entry(parent: UInt64, name: UnsafeRawBufferPointer) -> Key {
        Key(byteCount: KeyEncoding.entryOverheadBytes + name.count) {
            KeyEncoding.entry(parent: parent, name: name, into: $0)
        }
    }

    /// The file `name` in the directory `parent`. Value: directory entry.
    ///
    /// A name longer than `Geometry.posixNameBytesMax` gives a key that no tree holds.
    public static func entry(parent: UInt64, name: some Collection<UInt8>) -> Key {
        withText(name) { entry(parent: parent, name: $0) }
    }

    /// What the keys of all files in the directory `parent` start with.
    public static func entryPrefix(_ parent: UInt64) -> Key { oneNumber(.entry, parent) }

    /// The way up from the directory `qid`. Value: that directory's own entry key.
    public static func up(_ qid: UInt64) -> Key { oneNumber(.up, qid) }

    /// The label with this name. Value: label record.
    public static func label(_ name: some Collection<UInt8>) -> Key { text(.label, name) }

    /// The snapshot of this generation. Value: snapshot record.
    public static func snapshot(_ generation: Generation) -> Key {
        oneNumber(.snapshot, generation.rawValue)
    }

    /// Blocks born in `birth` that the snapshot `generation` does not hold but its predecessor
    /// does. Value: deadlist record.
    public static func deadlist(_ generation: Generation, birth: Generation) -> Key {
        Key(byteCount: KeyEncoding.twoNumberBytes) {
            KeyEncoding.twoNumbers(.deadlist, generation.rawValue, birth.rawValue, into: $0)
        }
    }

    /// What the keys of all deadlists of the snapshot `generation` start with.
    public static func deadlistPrefix(_ generation: Generation) -> Key {
        oneNumber(.deadlist, generation.rawValue)
    }

    /// The setting with this name. Value: text.
    public static func config(_ name: some Collection<UInt8>) -> Key { text(.config, name) }

    /// The file `qid` that has several names. Value: directory entry.
    public static func inode(_ qid: UInt64) -> Key { oneNumber(.inode, qid) }

    /// The name `name` in the directory `parent` that the file `qid` has. Value: nothing.
    public static func link(
        _ qid: UInt64, parent: UInt64, name: some Collection<UInt8>
    ) -> Key {
        withText(name) { name in
            Key(byteCount: KeyEncoding.twoNumberBytes + name.count) {
                let used = KeyEncoding.twoNumbers(.link, qid, parent, into: $0)
                $0.storeBytes(of: name, at: used)
                return used + name.count
            }
        }
    }

    /// What the keys of all names of the file `qid` start with.
    public static func linkPrefix(_ qid: UInt64) -> Key { oneNumber(.link, qid) }

    /// Part `part` of the extended attribute `name` of the file `qid`. Value: its bytes.
    public static func attribute(
        _ qid: UInt64, name: some Collection<UInt8>, part: UInt16
    ) -> Key {
        let prefix = attributePrefix(qid, name: name).bytes
        return Key(bytes: prefix + [UInt8(part >> 8), UInt8(truncatingIfNeeded: part)])
    }

    /// What the keys of all parts of one attribute start with.
    public static func attributePrefix(_ qid: UInt64, name: some Collection<UInt8>) -> Key {
        Key(bytes: attributePrefix(qid).bytes + Array(name) + [0])
    }

    /// What the keys of all attributes of the file `qid` start with.
    public static func attributePrefix(_ qid: UInt64) -> Key { oneNumber(.attribute, qid) }

    /// What all keys of a kind start with.
    public static func prefix(_ kind: KeyKind) -> Key { Key(bytes: [kind.rawValue]) }

    private static func oneNumber(_ kind: KeyKind, _ number: UInt64) -> Key {
        Key(byteCount: KeyEncoding.oneNumberBytes) {
            KeyEncoding.oneNumber(kind, number, into: $0)
        }
    }

    private static func text(_ kind: KeyKind, _ text: some Collection<UInt8>) -> Key {
        withText(text) { text in
            Key(byteCount: KeyEncoding.textOverheadBytes + text.count) {
                KeyEncoding.text(kind, text, into: $0)
            }
        }
    }

    private static func withText(
        _ text: some Collection<UInt8>, _ body: (UnsafeRawBufferPointer) -> Key
    ) -> Key {
        text.withContiguousStorageIfAvailable { body(UnsafeRawBufferPointer($0)) }
            ?? Array(text).withUnsafeBytes(body)
    }
}
