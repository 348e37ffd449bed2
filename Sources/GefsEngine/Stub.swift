import GefsFormat
struct TreeRoot: Hashable { var pointer: BlockPointer; var height: Int }
enum TreeError: Error { case read(ReadError), corrupt(CorruptBlock), volumeFull, emptyTree }
protocol NodeSource: Sendable { func node(_ p: BlockPointer, mayBlock: Bool) throws(ReadError) -> BlockBuffer }
extension BlockReader: NodeSource {}
protocol FlushTarget: AnyObject {
    var generation: Generation { get }
    func readNode(_ p: BlockPointer) throws(TreeError) -> BlockBuffer
    func newBuffer() -> BlockBuffer
    func writeNode(_ buffer: BlockBuffer) throws(TreeError) -> BlockPointer
    func killNode(_ p: BlockPointer)
    func killData(_ p: BlockPointer)
}
final class MessageBatch { var count: Int { 0 } }
enum Tree {
    static func lookup<S: NodeSource>(_ key: UnsafeRawBufferPointer, in root: TreeRoot, source: S, mayBlock: Bool) throws(ReadError) -> [UInt8]? { nil }
    struct Scan<S: NodeSource> {
        init(root: TreeRoot, source: S, from: UnsafeRawBufferPointer, mayBlock: Bool) {}
        mutating func next() throws(ReadError) -> (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)? { nil }
    }
    static func apply<T: FlushTarget>(_ batch: MessageBatch, to root: TreeRoot, target: T) throws(TreeError) -> TreeRoot { root }
}
final class Memtable {
    enum Found { case absent, value(UnsafeRawBufferPointer), removed }
    struct Cursor {}
    struct Item { var key: UnsafeRawBufferPointer; var state: Found }
    func lookup(_ key: UnsafeRawBufferPointer) -> Found { .absent }
    func put(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, presentBelow: Bool) {}
    func remove(_ key: UnsafeRawBufferPointer, presentBelow: Bool) {}
    var count: Int { 0 }
    var byteCount: Int { 0 }
    func seek(_ key: UnsafeRawBufferPointer) -> Cursor { Cursor() }
    func next(_ c: inout Cursor) -> Item? { nil }
    func makeBatch() -> MessageBatch { MessageBatch() }
    func makeBatch(addingData: some Sequence<(qid: UInt64, index: UInt64, pointer: BlockPointer)>) -> MessageBatch { MessageBatch() }
}
final class LogWrites { func writeBeforeSuperblock(to: any BlockDevice) throws(DeviceError) {}; func writeFooters(to: any BlockDevice) throws(DeviceError) {} }
final class ArenaSet: @unchecked Sendable {
    var count: Int { 0 }
    var usedBlocks: Int { 0 }
    var freeBlocksAboveReserve: Int { 0 }
    var reserveBlocks: Int { 0 }
    var references: [Superblock.ArenaReference] { [] }
    var usage: [SpaceReport.Arena] { [] }
    static func load(device: any BlockDevice, superblock: Superblock) throws(FileError) -> ArenaSet { ArenaSet() }
    func repairCopies(device: any BlockDevice) throws(DeviceError) -> Bool { false }
    func allocateNode(useReserve: Bool) -> BlockAddress? { nil }
    func allocateRun(upTo: Int, hint: UInt64, useReserve: Bool) -> BlockRun? { nil }
    func release(_ a: BlockAddress) {}
    func isAllocated(_ a: BlockAddress) -> Bool { false }
    func planCompression() -> [BlockAddress] { [] }
    func prepareCommit(barrier: UInt64, lastDurable: UInt64) throws(FileError) -> LogWrites { LogWrites() }
    func didCommit() {}
}
