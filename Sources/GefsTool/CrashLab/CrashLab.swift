import GefsControl
import GefsEngine
import GefsServer

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Runs a command on a fork in a scratch copy of an image, and looks at what crashes of the disk
/// would have left of its work.
final class CrashLab {
    /// A crash state, by its interval between two flushes and its number there.
    struct Place: Hashable {
        var interval: Int
        var number: Int

        var text: String { "\(interval):\(number)" }
    }

    /// What was found of one state.
    struct Outcome {
        var place: Place
        /// Writes and flushes before the cut, at the latest.
        var cut: Int
        var milliseconds: Int
        /// Lines that the command had printed.
        var lines: Int
        /// Exit status of the script; nil where the disk could not even be opened.
        var status: Int32?
        /// The last thing that the script said, or why the disk cannot be opened.
        var message: String
    }

    private let image: String
    private let branch: String
    private let console: Console
    private let seed: UInt64
    /// The folder of sockets and files for scripts.
    private let folder: String
    private let base: OverlayDevice
    private let device: FileDevice
    private let fork = "crashlab-\(getpid())"
    private(set) var recording = Recording(base: MemoryImage(byteCount: 0), events: [])
    private var clock: ClockedDevice?
    private var timeline: OutputTimeline?

    init(_ image: String, branch: String, seed: UInt64, console: Console) throws {
        self.image = image
        self.branch = branch
        self.seed = seed
        self.console = console
        device = try ImageHolder.device(image, for: .reading)
        base = OverlayDevice(over: device)
        var template = Array("/tmp/gefs-lab-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw LocalDescriptor.failure("/tmp") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        for name in ["output", "log", "disk.sock", "disk.cmd"] { unlink(folder + "/" + name) }
        rmdir(folder)
        device.close()
    }

    // MARK: The run

    /// Runs the command to its end while the disk is recorded.
    func record(_ command: [String]) throws {
        // The fork is there before anything is recorded.
        try serve(base) { socket in
            _ = try ControlClient.perform(["snap", "fork", branch, fork], at: socket) { _, _ in }
        }
        let recorder = RecordingDevice(recordingChangesOf: OverlayDevice(copying: base))
        let clocked = ClockedDevice(recorder)
        let timeline = OutputTimeline { recorder.eventCount }
        clock = clocked
        self.timeline = timeline
        var events: [RecordingDevice.Event] = []
        try serve(clocked) { socket in
            var ends: [Int32] = [-1, -1]
            guard pipe(&ends) == 0 else { throw LocalDescriptor.failure("pipe") }
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            let (source, sink) = (ends[0], ends[1])
            guard DetachedThread.start({ timeline.follow(source) }) else {
                throw CommandFailure("crashlab", "no thread left")
            }
            let status = try ChildProcess.run(
                command, environment: environment(socket), output: sink)
            close(sink)
            timeline.waitForEnd()
            // What comes behind the command's end, such as the last commit, is not part of it.
            events = recorder.events
            guard status.code == 0 else {
                throw CommandFailure(
                    ByteText.shown(command[0]), "ended with status \(status.code)",
                    next: "crashes are only looked at of a command that succeeds")
            }
        }
        recording.events = events
    }

    private func environment(_ socket: String) -> [String: String] {
        [
            "GEFS_SOCKET": socket, "GEFS_IMAGE": socket, "GEFS_BRANCH": fork, "GEFS_ATTACH": fork,
        ]
    }

    private func serve(
        _ device: any BlockDevice, _ body: (_ socket: String) throws -> Void
    ) throws {
        let fileSystem: FileSystem
        do {
            fileSystem = try FileSystem.open(device)
        } catch {
            throw CommandFailure(ByteText.shown(image), error)
        }
        let served = ServedImage(
            image: folder + "/disk", fileSystem: fileSystem, stop: StopRequest(), console: console)
        try withoutActuallyEscaping(body) {
            let body = $0
            try served.run(ServerConfiguration(listeners: [])) { socket, _ in try body(socket) }
        }
    }

    // MARK: Crash states

    /// How many states there are in all.
    var stateCount: Int {
        recording.intervals.reduce(0) { $0 + CrashStates(recording, $1, seed: seed).count }
    }

    /// The states to look at: what is there after each prefix of the writes comes first.
    ///
    /// - Parameter limit: how many, at most.
    func places(limit: Int) -> [Place] {
        var prefixes: [Place] = []
        var counts: [Int] = []
        for (index, interval) in recording.intervals.enumerated() {
            let states = CrashStates(recording, interval, seed: seed)
            counts.append(states.count)
            for number in 0..<min(states.prefixCount, states.count) {
                prefixes.append(Place(interval: index, number: number))
            }
        }
        var chance = SeededGenerator(seed: seed)
        let total = counts.reduce(0, +)
        if prefixes.count >= limit {
            return prefixes.shuffled(using: &chance).prefix(limit).sorted(by: Self.isBefore)
        }
        var chosen = Set(prefixes)
        if total <= limit {
            for (index, count) in counts.enumerated() {
                for number in 0..<count { chosen.insert(Place(interval: index, number: number)) }
            }
        } else {
            while chosen.count < limit {
                var number = Int.random(in: 0..<total, using: &chance)
                var interval = 0
                while number >= counts[interval] {
                    number -= counts[interval]
                    interval += 1
                }
                chosen.insert(Place(interval: interval, number: number))
            }
        }
        return chosen.sorted(by: Self.isBefore)
    }

    private static func isBefore(_ left: Place, _ right: Place) -> Bool {
        (left.interval, left.number) < (right.interval, right.number)
    }

    /// Makes the disk of a state, opens it and lets the script judge.
    func verify(_ place: Place, script: String) throws -> Outcome {
        let intervals = recording.intervals
        guard intervals.indices.contains(place.interval) else {
            throw CommandFailure("crashlab", "no state \(place.text) in this run")
        }
        let states = CrashStates(recording, intervals[place.interval], seed: seed)
        guard states.indices.contains(place.number) else {
            throw CommandFailure("crashlab", "no state \(place.text) in this run")
        }
        let state = states[place.number]
        let cut = state.cuts.upperBound
        let printed = timeline?.lines(before: cut) ?? (bytes: [], count: 0)
        var outcome = Outcome(
            place: place, cut: cut, milliseconds: clock?.milliseconds(at: cut) ?? 0,
            lines: printed.count, status: nil, message: "")
        let disk = OverlayDevice(copying: base)
        try recording.write(state, to: disk)
        try write(printed.bytes, to: folder + "/output")
        do {
            try serve(disk) { socket in
                var environment = environment(socket)
                environment["GEFS_CRASH_STATE"] = place.text
                environment["GEFS_CRASH_TIME"] = String(outcome.milliseconds)
                environment["GEFS_CRASH_OUTPUT"] = folder + "/output"
                environment["GEFS_CRASH_LOG"] = folder + "/log"
                let lines = "exec >\"$GEFS_CRASH_LOG\" 2>&1 </dev/null\n" + script
                outcome.status = try ChildProcess.run(
                    ["/bin/sh", "-c", lines], environment: environment
                ).code
            }
        } catch let failure as CommandFailure where outcome.status == nil {
            try Interruption.check()
            outcome.message = failure.why
            return outcome
        }
        outcome.message = lastLine(of: folder + "/log")
        return outcome
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LocalDescriptor.failure(path) }
        defer { close(file) }
        try bytes.withUnsafeBytes { try LocalDescriptor.writeAll(file, $0, name: path) }
    }

    private func lastLine(of path: String) -> String {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let end = lseek(file, 0, SEEK_END)
        let count = pread(file, &bytes, bytes.count, max(0, end - off_t(bytes.count)))
        guard count > 0 else { return "" }
        return bytes[..<count].split(separator: UInt8(ascii: "\n")).last.map { ByteText.shown($0) }
            ?? ""
    }
}
