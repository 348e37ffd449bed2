// swift-tools-version: 6.2
import PackageDescription

/// Fuzzers, apart from the package that they fuzz: `Fuzz/run` builds them with the coverage
/// instrumentation that libFuzzer wants, which nothing else should have.
let package = Package(
    name: "gefs-fuzz",
    platforms: [.macOS(.v26)],
    dependencies: [
        .package(name: "gefs", path: ".."),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(
            name: "FuzzTargets",
            dependencies: [
                .product(name: "GefsEngine", package: "gefs"),
                .product(name: "GefsServer", package: "gefs"),
                .product(name: "GefsControl", package: "gefs"),
                .product(name: "NineP", package: "gefs"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "Logging", package: "swift-log"),
            ],
            path: "Targets", exclude: ["Replay"]),
        // The linker is told about libFuzzer's own entry point by -sanitize=fuzzer.
        .executableTarget(
            name: "gefs-fuzz", dependencies: ["FuzzTargets", "QuietCompares"],
            linkerSettings: [
                .unsafeFlags(
                    ["1", "2", "4", "8"].flatMap { size in
                        ["", "const_"].flatMap { kind in
                            ["-Xlinker", "--wrap=__sanitizer_cov_trace_\(kind)cmp\(size)"]
                        }
                    })
            ]),
        .target(name: "QuietCompares"),
    ]
)
