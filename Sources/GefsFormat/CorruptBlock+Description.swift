extension CorruptBlock.Reason: CustomStringConvertible {
    /// What was found and what was expected.
    public var description: String {
        switch self {
        case .blockSize(let found): "\(found) bytes, expected \(Geometry.blockBytes)"
        case .kind(let found, let expected): "kind \(found), expected \(expected.rawValue)"
        case .notNode(let kind): "kind \(kind), expected 1 or 2"
        case .hash(let found, let expected):
            "hash \(hexadecimal(found)), expected \(hexadecimal(expected))"
        case .address(let address): "address \(address) cannot be that of a block"
        default: nodeDescription ?? chainDescription ?? headerDescription
        }
    }

    private var nodeDescription: String? {
        switch self {
        case .emptyNode: "no records"
        case .areaOverflow(let count, let byteCount, let areaBytes):
            "\(count) records of \(byteCount) bytes in an area of \(areaBytes)"
        case .recordBytes(let found, let expected):
            "records take \(found) bytes, header says \(expected)"
        case .recordOverlap: "records overlap"
        case .recordOutside(let index, let offset, let heapStart, let areaBytes):
            "record \(index) at \(offset) is not within \(heapStart) to \(areaBytes)"
        case .valueTooLong(let index, let byteCount):
            "record \(index): value of \(byteCount) bytes, at most \(Geometry.valueBytesMax)"
        case .key(let index, let error): "record \(index): \(error)"
        case .keyOrder(let index): "record \(index): key not above the one before"
        case .keyRange(let index): "record \(index): key outside the range of the node"
        case .valueSize(let index, let kind, let found, let expected):
            "record \(index): value of \(kind) key has \(found) bytes, expected \(expected)"
        case .upTarget(let index): "record \(index): value of up key is no entry key"
        case .pivotValueSize(let index, let found):
            "child \(index): value of \(found) bytes, expected \(Geometry.pivotValueBytes)"
        case .childAddress(let index, let address): "child \(index): address \(address)"
        case .childFill(let index, let fill): "child \(index): fill \(fill)"
        case .messageOrder(let index): "message \(index): key below the one before"
        case .messageKind(let index, let kind): "message \(index): kind \(kind), expected 1 to 8"
        case .messageKey(let index, let kind, let key):
            "message \(index): \(kind) cannot apply to \(key) key"
        case .payloadSize(let index, let kind, let found, let expected):
            "message \(index): \(kind) payload of \(found) bytes, expected \(expected)"
        default: nil
        }
    }

    private var chainDescription: String? {
        switch self {
        case .entryBytes(let byteCount):
            "\(byteCount) bytes of entries, expected words and at most \(Geometry.logSpaceBytes)"
        case .misplaced(let place): "holds what was written for \(place)"
        case .link(let found, let expected): "goes on at \(found), expected \(expected)"
        case .logOperation(let offset, let operation):
            "entry at \(offset): operation \(operation), expected 1 to 5"
        case .logTruncated(let offset): "entry at \(offset): second word is missing"
        case .logRange(let offset, let start, let byteCount):
            "entry at \(offset): range \(hexadecimal(start))+\(hexadecimal(byteCount))"
        case .deadAddress(let index, let address): "entry \(index): address \(address)"
        default: nil
        }
    }

    private var headerDescription: String {
        switch self {
        case .magic(let magic): "magic \(hexadecimal(magic)), unknown fs version"
        case .superblockBlockBytes(let found):
            "block size \(found), expected \(Geometry.blockBytes)"
        case .superblockBufferBytes(let found):
            "buffer size \(found), expected \(Geometry.pivotBufferBytes)"
        case .arenaCount(let count):
            "\(count) arenas, expected 1 to \(Geometry.arenaCountMax)"
        case .featureFlags(let flags): "feature flags \(hexadecimal(flags)) are not known"
        case .treeHeight(let height):
            "tree height \(height), expected 1 to \(Geometry.treeHeightMax)"
        case .rootAddress(let address): "tree root at \(address)"
        case .commitGeneration(let number): "commit \(number) is out of range"
        case .nextGeneration(let number): "next generation \(number) is out of range"
        case .pendingList(let head, let tail): "pending list from \(head) to \(tail)"
        case .arenaAddress(let index, let address): "arena \(index) at \(address)"
        case .arenaBytes(let byteCount): "arena of \(byteCount) bytes"
        case .logHead(let address): "allocation log at \(address)"
        default: "unreadable"
        }
    }
}
