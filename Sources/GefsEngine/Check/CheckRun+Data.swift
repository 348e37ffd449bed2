import GefsFormat

/// The contents of files against the hashes in their pointers.
extension CheckRun {
    /// Less data is read before another thread has begun, 4 MiB.
    private static let blocksForHelper = 256

    /// Reads all file data in the order of addresses, on this thread and, unless there is little, one
    /// more.
    func verifyData() {
        guard !isCancelled else { return }
        let verifier = DataVerifier(source, owners)
        setRemaining(UInt64(verifier.blockCount) * UInt64(Geometry.blockBytes))
        let helper =
            verifier.blockCount < Self.blocksForHelper
            ? nil : WorkerThread { verifier.verify(until: { true }) }
        verifier.verify { [self] in
            advance(blocks: verifier.takeVerifiedCount())
            return !isCancelled
        }
        if isCancelled { verifier.stop() }
        helper?.join()
        advance(blocks: verifier.takeVerifiedCount())
        for (block, problem) in verifier.problems.sorted(by: { $0.block < $1.block }) {
            let entry = owners[block]
            let isDetailed = log.wants(problem.kind)
            log.add(
                .block(
                    BlockAddress(rawValue: UInt64(block) * UInt64(Geometry.blockBytes)),
                    use(of: block, entry, isDetailed: isDetailed), problem))
        }
    }
}
