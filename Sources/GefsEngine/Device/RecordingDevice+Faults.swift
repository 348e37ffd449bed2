import GefsFormat
import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// What a `RecordingDevice` is to get wrong, and what it got wrong so far.
struct InjectedFaults {
    /// One that waits or is at work.
    private struct Active {
        var fault: DeviceFault
        var left: Int?
        var passes: Int

        init(_ fault: DeviceFault) {
            self.fault = fault
            left = fault.count
            passes = fault.after
        }
    }

    private var active: [Active] = []
    var operationsUntilPowerCut: Int?
    /// What lies beyond is gone.
    var lengthLeft: UInt64?
    /// Host blocks that a write may still take, and those that are there.
    var room: (pages: Int, held: Set<UInt64>)?
    var hits: [DeviceFaultHit] = []

    mutating func add(_ fault: DeviceFault) { active.append(Active(fault)) }

    /// Ends everything; what has happened stays in `hits`.
    mutating func end() {
        let before = hits
        self = InjectedFaults()
        hits = before
    }

    /// What becomes of an operation, or nil if it is to go well; it counts.
    mutating func effect(
        on operation: DeviceFault.Operation, at offset: UInt64 = 0, byteCount: Int = 0
    ) -> DeviceFault.Effect? {
        let found =
            powerCut(operation) ?? beyondLength(operation, offset, byteCount)
            ?? scheduled(operation, offset, byteCount) ?? withoutRoom(operation, offset, byteCount)
        if let found {
            hits.append(
                DeviceFaultHit(
                    operation: operation, effect: found, offset: offset, byteCount: byteCount))
        }
        return found
    }

    private mutating func powerCut(_ operation: DeviceFault.Operation) -> DeviceFault.Effect? {
        guard let count = operationsUntilPowerCut else { return nil }
        if count == 0 { return .fail(errno: EIO) }
        if operation != .read { operationsUntilPowerCut = count - 1 }
        return nil
    }

    private func beyondLength(
        _ operation: DeviceFault.Operation, _ offset: UInt64, _ byteCount: Int
    ) -> DeviceFault.Effect? {
        guard operation != .flush, let lengthLeft else { return nil }
        let (end, overflow) = offset.addingReportingOverflow(UInt64(byteCount))
        guard overflow || end > lengthLeft else { return nil }
        return .fail(errno: operation == .write ? ENOSPC : EIO)
    }

    private mutating func scheduled(
        _ operation: DeviceFault.Operation, _ offset: UInt64, _ byteCount: Int
    ) -> DeviceFault.Effect? {
        var found: DeviceFault.Effect?
        for index in active.indices
        where active[index].fault.fits(operation, at: offset, byteCount: byteCount) {
            if active[index].passes > 0 {
                active[index].passes -= 1
            } else if found == nil, active[index].left != 0 {
                active[index].left = active[index].left.map { $0 - 1 }
                found = active[index].fault.effect
            }
        }
        return found
    }

    private mutating func withoutRoom(
        _ operation: DeviceFault.Operation, _ offset: UInt64, _ byteCount: Int
    ) -> DeviceFault.Effect? {
        guard operation == .write, byteCount > 0, var room else { return nil }
        let page = UInt64(MemoryImage.pageBytes)
        let fresh = (offset / page...(offset + UInt64(byteCount) - 1) / page).filter {
            !room.held.contains($0)
        }
        guard fresh.count <= room.pages else { return .fail(errno: ENOSPC) }
        room.pages -= fresh.count
        room.held.formUnion(fresh)
        self.room = room
        return nil
    }
}

/// An operation that a fault has hit.
public struct DeviceFaultHit: Sendable, Hashable {
    public var operation: DeviceFault.Operation
    public var effect: DeviceFault.Effect
    /// Where the transfer was to go; 0 for a flush.
    public var offset: UInt64
    public var byteCount: Int
}

extension RecordingDevice {
    /// Makes a fault happen, besides those that are there.
    public func inject(_ fault: DeviceFault) {
        state.withLock { $0.faults.add(fault) }
    }

    /// What a delay does, with its nanoseconds: nothing by default. Called by the thread that
    /// transfers, without a lock, before the transfer.
    public func onDelay(_ body: @escaping @Sendable (_ nanoseconds: UInt64) -> Void) {
        delay.withLock { $0 = body }
    }

    /// Every operation that was hit so far, in order.
    public var faultHits: [DeviceFaultHit] { state.withLock { $0.faults.hits } }

    /// Reads and writes that touch `range` fail until `repair()`.
    public func failTransfers(in range: Range<UInt64>) {
        inject(DeviceFault(.read, .fail(errno: EIO), in: range, count: nil))
        inject(DeviceFault(.write, .fail(errno: EIO), in: range, count: nil))
    }

    /// The next `count` writes succeed, all later ones fail.
    public func failWrites(after count: Int, errno: Int32 = EIO) {
        inject(DeviceFault(.write, .fail(errno: errno), after: count, count: nil))
    }

    /// The next `count` flushes succeed, all later ones fail.
    public func failFlushes(after count: Int, errno: Int32 = EIO) {
        inject(DeviceFault(.flush, .fail(errno: errno), after: count, count: nil))
    }

    /// The next `count` writes and flushes succeed, then writes, flushes and reads all fail.
    public func cutPower(after count: Int) {
        state.withLock { $0.faults.operationsUntilPowerCut = count }
    }

    /// The device loses its end: reads and writes that reach beyond `byteCount` fail, though the
    /// device says that it is as long as before, as one does that was opened before it shrank.
    public func shrink(to byteCount: UInt64) {
        state.withLock { $0.faults.lengthLeft = byteCount }
    }

    /// The host of a sparse file has no more than so many bytes left: writes to places that hold
    /// nothing yet fail with ENOSPC when they are used up. Counts in pieces of 16 KiB.
    public func fillUp(after byteCount: UInt64) {
        let held = image().heldPages()
        state.withLock {
            $0.faults.room = (Int(byteCount / UInt64(MemoryImage.pageBytes)), held)
        }
    }

    /// Ends all faults. What they did to the device stays.
    public func repair() {
        state.withLock { $0.faults.end() }
    }
}

// MARK: - Transfers under faults

extension RecordingDevice {
    /// Does the delay where that is all that happens to the operation.
    func passingDelay(_ effect: DeviceFault.Effect?) -> DeviceFault.Effect? {
        guard case .delay(let nanoseconds) = effect else { return effect }
        delay.withLock { $0 }(nanoseconds)
        return nil
    }

    func read(
        at offset: UInt64, into buffers: [UnsafeMutableRawBufferPointer], byteCount: Int,
        under effect: DeviceFault.Effect
    ) throws(DeviceError) {
        switch effect {
        case .garble:
            try below.read(at: offset, into: buffers)
            for buffer in buffers {
                for index in stride(from: 0, to: buffer.count, by: Geometry.sectorBytes) {
                    buffer[index] ^= 1
                }
            }
        case .failHalfway(let errno):
            var rest = Self.half(byteCount)
            let parts = buffers.map { buffer in
                defer { rest -= min(rest, buffer.count) }
                return UnsafeMutableRawBufferPointer(rebasing: buffer[..<min(rest, buffer.count)])
            }
            try below.read(at: offset, into: parts)
            throw .readFailed(offset: offset, byteCount: byteCount, errno: errno)
        case .fail(let errno), .failAfterwards(let errno), .forget(let errno):
            throw .readFailed(offset: offset, byteCount: byteCount, errno: errno)
        case .misdirect, .lose, .delay:
            try below.read(at: offset, into: buffers)
        }
    }

    func write(
        _ bytes: [UInt8], at offset: UInt64, under effect: DeviceFault.Effect
    ) throws(DeviceError) {
        func failure(_ errno: Int32) -> DeviceError {
            .writeFailed(offset: offset, byteCount: bytes.count, errno: errno)
        }
        switch effect {
        case .fail(let errno), .forget(let errno): throw failure(errno)
        case .failHalfway(let errno):
            try record(Array(bytes[..<Self.half(bytes.count)]), at: offset)
            throw failure(errno)
        case .failAfterwards(let errno):
            try record(bytes, at: offset)
            throw failure(errno)
        case .misdirect(let distance):
            let length = UInt64(bytes.count)
            guard let place = offset.addingReportingSigned(distance), length <= byteCount,
                place <= byteCount - length
            else { return }
            try record(bytes, at: place)
        case .lose: return
        case .garble, .delay: try record(bytes, at: offset)
        }
    }

    func flush(under effect: DeviceFault.Effect) throws(DeviceError) {
        switch effect {
        case .fail(let errno), .failHalfway(let errno): throw .flushFailed(errno: errno)
        case .failAfterwards(let errno):
            try recordFlush()
            throw .flushFailed(errno: errno)
        case .forget(let errno):
            try forgetUnflushed()
            throw .flushFailed(errno: errno)
        case .lose: return
        case .garble, .misdirect, .delay: try recordFlush()
        }
    }

    /// Takes every write since the last flush back.
    private func forgetUnflushed() throws(DeviceError) {
        let durable = imageAtLastFlush()
        let lost = state.withLock { state -> ArraySlice<Event> in
            let count = (state.recording.events.lastIndex(of: .flush) ?? -1) + 1
            defer { state.recording.events.removeSubrange(count...) }
            return state.recording.events[count...]
        }
        for case .write(let offset, let bytes) in lost {
            let old = durable.bytes(at: offset, count: bytes.count)
            try old.withBytes { (raw) throws(DeviceError) in
                try below.write(at: offset, from: raw)
            }
        }
    }

    /// The first half of a transfer, in whole sectors.
    private static func half(_ byteCount: Int) -> Int {
        byteCount / 2 / Geometry.sectorBytes * Geometry.sectorBytes
    }

}

extension UInt64 {
    /// The sum, or nil where it is no offset.
    fileprivate func addingReportingSigned(_ distance: Int64) -> UInt64? {
        let (sum, overflow) =
            distance >= 0
            ? addingReportingOverflow(UInt64(distance))
            : subtractingReportingOverflow(distance.magnitude)
        return overflow ? nil : sum
    }
}
