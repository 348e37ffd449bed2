import FuzzTargets

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The target that `GEFS_FUZZ` names.
private let target: any FuzzTarget = {
    let name = getenv("GEFS_FUZZ").map { String(cString: $0) } ?? ""
    do {
        if let target = try FuzzTargets.make(name) { return target }
        fatalError("GEFS_FUZZ names one of: \(FuzzTargets.all.map { $0.name })")
    } catch {
        fatalError("\(name): \(error)")
    }
}()

/// The inputs since the target was last settled; nil where `GEFS_FUZZ_BATCH` names no file for them.
private let batch: Batch? = getenv("GEFS_FUZZ_BATCH").map { Batch(String(cString: $0)) }

/// A batch in a file, which is still there after a crash.
private final class Batch: @unchecked Sendable {
    var inputs: InputBatch

    init(_ path: String) {
        let descriptor = open(path, O_RDWR | O_CREAT, 0o644)
        guard descriptor >= 0, ftruncate(descriptor, off_t(InputBatch.byteCount)) == 0,
            let memory = mmap(
                nil, InputBatch.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            memory != MAP_FAILED
        else { fatalError("\(path): no file for the inputs") }
        inputs = InputBatch(
            UnsafeMutableRawBufferPointer(start: memory, count: InputBatch.byteCount))
        InputBatch.isOpen.store(true, ordering: .relaxed)
    }

    func run(_ input: UnsafeRawBufferPointer) throws {
        inputs.add(input)
        try target.run(input)
        guard inputs.isFull else { return }
        try target.settle()
        inputs.clear()
    }
}

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: bytes, count: count)
    do {
        if let batch { try batch.run(input) } else { try target.replay(input) }
    } catch {
        fatalError("\(error)")
    }
    return 0
}
