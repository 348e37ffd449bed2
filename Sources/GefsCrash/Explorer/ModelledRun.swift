import GefsEngine

/// A volume on a recorded device, with what it must hold after each operation.
///
/// An operation is one call that changes something. State 0 is what the volume held before the
/// first; each operation that changed the model made one more.
final class ModelledRun: VolumeUser {
    let device: RecordingDevice
    private(set) var fileSystem: FileSystem
    var caller = Caller(user: UserID(rawValue: 1), isPermissive: true)
    var label = "main"

    /// What both are changed by.
    var workload: HistoryWorkload
    /// What the volume held after each operation.
    private(set) var states: [HistoryState]
    /// Events that had been recorded when the operation began that made the state.
    private var starts = [0]
    /// Events that had been recorded when a call returned that makes a state durable.
    private var acknowledged: [(events: Int, state: Int)] = [(0, 0)]

    /// Opens the volume on `image` and records from before that on.
    ///
    /// - Parameters:
    ///   - workload: its state must be what the volume holds.
    ///   - prologue: what is done to the device before the volume is opened.
    init(
        image: MemoryImage, workload: HistoryWorkload, options: VolumeOptions,
        defect: Defect? = nil, prologue: (any BlockDevice) throws -> Void = { _ in }
    ) throws {
        device = try RecordingDevice(image: image)
        let asked = DefectiveDevice.wrap(device, defect)
        try prologue(asked)
        fileSystem = try FileSystem.open(asked, options: Self.options(options, defect))
        self.workload = workload
        states = [workload.present]
        tuneSizes()
        try settle()
    }

    private static func options(_ options: VolumeOptions, _ defect: Defect?) -> VolumeOptions {
        var options = options
        options.defect = defect?.inEngine
        return options
    }

    /// Goes on from what the volume was found to hold.
    func begin(_ found: HistoryWorkload) {
        workload = found
        states = [found.present]
        starts = [0]
        acknowledged = [(0, 0)]
        tuneSizes()
    }

    /// Small files, so that much can happen on a small disk.
    private func tuneSizes() {
        workload.files.bytesPerWriteMax = 20_000
        workload.files.offsetMax = 40_000
        workload.changesPerStep = 1...1
    }

    func settle() throws {
        try fileSystem.settle()
    }

    /// One operation: changes the volume and the model, or, if the volume is full, neither.
    func perform(_ operation: (inout HistoryWorkload, ModelledRun) throws -> Void) throws {
        let start = device.eventCount
        let commits = workload.commitCount
        do {
            try operation(&workload, self)
        } catch FileError.volumeFull {
            // Refused: nothing has changed, though there may have been a commit.
        }
        if workload.present != states[states.count - 1] {
            states.append(workload.present)
            starts.append(start)
        }
        if workload.commitCount != commits {
            acknowledged.append((device.eventCount, states.count - 1))
        }
        try settle()
    }

    func step() throws {
        try perform { try $0.step($1) }
    }

    func sync() throws {
        try perform { try $0.sync($1) }
    }

    /// Closes the volume, which commits.
    func close() throws {
        try fileSystem.close()
        acknowledged.append((device.eventCount, states.count - 1))
    }

    /// The states that the disk may be in after a crash somewhere in `cuts`, which all leave the
    /// same: none before what was acknowledged at the last of them, none that was not asked for at
    /// the first.
    func allowed(after cuts: ClosedRange<Int>) -> ClosedRange<Int> {
        let oldest = acknowledged.last { $0.events <= cuts.upperBound }?.state ?? 0
        let newest = starts.lastIndex { $0 <= cuts.lowerBound } ?? 0
        return oldest...max(oldest, newest)
    }
}
