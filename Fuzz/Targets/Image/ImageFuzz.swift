import GefsFormat

@testable import GefsEngine

/// Volumes of which anything may be changed, hashes and all: they are checked, opened, read, written,
/// repaired, and closed.
///
/// Where a check finds nothing wrong, nothing may be wrong after writing on it either. What it finds
/// something in is used only by inputs that do not ask it.
public struct ImageFuzz: FuzzTarget {
    public static let name = "image"

    private struct Base {
        var image: MemoryImage
        var map: ImageMap
    }

    private let bases: [Base]
    private static let mutationsMax = 8
    private static let stepsMax = 2

    public init() throws {
        let images = [
            try BaseImages.populated(.r), try BaseImages.populated(.n), try BaseImages.fresh(.r),
            try LogChain.split(BaseImages.populated(.r)),
        ]
        bases = images.map { Base(image: $0, map: ImageMap($0)) }
    }

    public func run(_ input: UnsafeRawBufferPointer) throws {
        var reader = InputReader(input)
        let base = bases[reader.number(below: bases.count)]
        let steps = VolumeSteps(rawValue: reader.integer(UInt16.self))
            .limited(to: Self.stepsMax)
        var mutation = ImageMutation(base.image, base.map)
        let device = MemoryDevice(mutation.apply(&reader, limit: Self.mutationsMax))
        let isSound = steps.contains(.checksBefore)
        if isSound, !Self.isSound(device) { return }
        var options = BaseImages.options
        options.isReadOnly = steps.contains(.readOnly)
        options.isPermissive = steps.contains(.permissive)
        guard let fileSystem = try? FileSystem.open(device, options: options) else {
            return try promise(!isSound || !options.isPermissive, "a sound volume is refused")
        }
        VolumeExercise(fileSystem, steps).run()
        do {
            try fileSystem.close()
        } catch {
            try promise(!isSound, "a sound volume cannot be closed: \(error)")
        }
        if isSound {
            let report = Checker.check(device)
            try promise(
                !report.isBroken && report.isComplete,
                "a sound volume was broken: \(report.findings.prefix(3))")
        }
    }

    private static func isSound(_ device: MemoryDevice) -> Bool {
        let report = Checker.check(device)
        // Where numbers run out, commits are refused.
        return report.isComplete && report.errorCount == 0 && report.warningCount == 0
            && !report.counts.contains { $0.kind == "volume.numbersRunOut" }
    }
}
