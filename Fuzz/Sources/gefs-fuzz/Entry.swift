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

/// What libFuzzer calls with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    do {
        try target.run(UnsafeRawBufferPointer(start: bytes, count: count))
    } catch {
        fatalError("\(error)")
    }
    return 0
}
