import GefsFormat

/// Written blocks of file data that have no place on the device yet.
///
/// Guarded by the branch's lock while active; immutable once frozen.
struct DirtyData {
    /// Blocks of one file by block index (offset / block size).
    struct File {
        var blocks: [UInt64: BlockBuffer] = [:]
    }

    private(set) var files: [UInt64: File] = [:]
    private(set) var blockCount = 0

    var isEmpty: Bool { blockCount == 0 }

    func block(_ qid: UInt64, _ index: UInt64) -> BlockBuffer? {
        files[qid]?.blocks[index]
    }

    func hasFile(_ qid: UInt64) -> Bool {
        files[qid] != nil
    }

    mutating func insert(_ buffer: BlockBuffer, _ qid: UInt64, _ index: UInt64) {
        if files[qid, default: File()].blocks.updateValue(buffer, forKey: index) == nil {
            blockCount += 1
        }
    }

    /// Forgets the blocks of a file from `index` on; returns how many there were.
    mutating func remove(_ qid: UInt64, from index: UInt64) -> Int {
        guard let file = files[qid] else { return 0 }
        if index == 0 {
            files[qid] = nil
            blockCount -= file.blocks.count
            return file.blocks.count
        }
        let gone = file.blocks.keys.filter { $0 >= index }
        for key in gone { files[qid]?.blocks[key] = nil }
        if files[qid]?.blocks.isEmpty ?? false { files[qid] = nil }
        blockCount -= gone.count
        return gone.count
    }

    /// Forgets one block; false where there is none.
    mutating func remove(_ qid: UInt64, _ index: UInt64) -> Bool {
        guard files[qid]?.blocks.removeValue(forKey: index) != nil else { return false }
        if files[qid]?.blocks.isEmpty ?? false { files[qid] = nil }
        blockCount -= 1
        return true
    }

    /// All blocks, ordered by file and index: the order of their keys.
    func sorted() -> [(qid: UInt64, index: UInt64, buffer: BlockBuffer)] {
        var all: [(qid: UInt64, index: UInt64, buffer: BlockBuffer)] = []
        all.reserveCapacity(blockCount)
        for qid in files.keys.sorted() {
            guard let file = files[qid] else { continue }
            for index in file.blocks.keys.sorted() {
                if let buffer = file.blocks[index] { all.append((qid, index, buffer)) }
            }
        }
        return all
    }
}

/// A layer of a branch that has been closed and waits for its flush.
final class FrozenLayer: @unchecked Sendable {
    let memtable: Memtable
    let dirty: DirtyData
    /// Keys of data that the memtable holds as removed.
    let dataRemovals: Int
    let promise: SpacePromise

    init(memtable: Memtable, dirty: DirtyData, dataRemovals: Int, promise: SpacePromise) {
        self.memtable = memtable
        self.dirty = dirty
        self.dataRemovals = dataRemovals
        self.promise = promise
    }
}
