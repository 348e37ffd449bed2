// swift-tools-version: 6.2
import PackageDescription

/// Settings of every target of ours: warnings are errors, existentials are spelled `any`.
let strict: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

let package = Package(
    name: "gefs",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "gefs", targets: ["GefsTool"]),
        .executable(name: "gefs-stress", targets: ["GefsStressTool"]),
        .executable(name: "gefs-damage", targets: ["GefsDamageTool"]),
        .executable(name: "gefs-mend", targets: ["GefsMendTool"]),
        .executable(name: "gefs-bench", targets: ["GefsBenchTool"]),
        .library(name: "GefsEngine", targets: ["GefsFormat", "GefsEngine"]),
        .library(name: "NineP", targets: ["NineP", "GefsClient"]),
        .library(name: "GefsServer", targets: ["GefsServer"]),
        .library(name: "GefsCrash", targets: ["GefsCrash"]),
        .executable(name: "gefs-crash", targets: ["GefsCrashTool"]),
        .library(name: "GefsControl", targets: ["GefsControl"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .target(name: "CPlatform"),
        .target(name: "GefsFormat", swiftSettings: strict),
        .target(name: "NineP", swiftSettings: strict),
        .target(
            name: "GefsEngine", dependencies: ["CPlatform", "GefsFormat"], swiftSettings: strict),
        .target(
            name: "GefsDamage", dependencies: ["GefsFormat", "GefsEngine"], swiftSettings: strict),
        .executableTarget(
            name: "GefsDamageTool",
            dependencies: [
                "GefsDamage", "GefsEngine",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .target(name: "GefsClient", dependencies: ["CPlatform", "NineP"], swiftSettings: strict),
        .target(
            name: "GefsServer",
            dependencies: [
                "CPlatform", "NineP", "GefsEngine",
                .target(name: "CRing", condition: .when(platforms: [.linux])),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], swiftSettings: strict),
        .systemLibrary(
            name: "CFuse3", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
        .target(name: "CRing", linkerSettings: [.linkedLibrary("uring")]),
        .target(
            name: "GefsFuse", dependencies: ["CFuse3", "CRing", "GefsFormat", "GefsEngine"],
            swiftSettings: strict),
        .target(
            name: "GefsControl", dependencies: ["GefsEngine", "GefsServer"], swiftSettings: strict),
        .executableTarget(
            name: "GefsTool",
            dependencies: [
                "CPlatform", "GefsFormat", "GefsEngine", "NineP", "GefsClient", "GefsServer",
                "GefsControl", "GefsFuse",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: strict),
        .target(
            name: "GefsCrash", dependencies: ["GefsFormat", "GefsEngine"], swiftSettings: strict),
        .executableTarget(
            name: "GefsCrashTool",
            dependencies: [
                "GefsCrash", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .target(
            name: "GefsMend", dependencies: ["GefsEngine", "GefsFormat"], swiftSettings: strict),
        .executableTarget(
            name: "GefsMendTool",
            dependencies: [
                "GefsMend", "GefsEngine",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .target(
            name: "GefsBench", dependencies: ["NineP", "GefsFormat", "GefsEngine"],
            swiftSettings: strict),
        .executableTarget(
            name: "GefsBenchTool",
            dependencies: [
                "GefsBench", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(
            name: "GefsFormatTests", dependencies: ["GefsFormat"], swiftSettings: strict),
        .testTarget(name: "NinePTests", dependencies: ["NineP"], swiftSettings: strict),
        .target(
            name: "GefsExample", dependencies: ["GefsEngine"], path: "Examples/GefsExample",
            swiftSettings: strict),
        .target(
            name: "GefsStress", dependencies: ["GefsFormat", "GefsEngine"], swiftSettings: strict),
        .executableTarget(
            name: "GefsStressTool",
            dependencies: [
                "GefsStress",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),
        .testTarget(
            name: "GefsEngineTests",
            dependencies: [
                "GefsBench", "GefsFormat", "GefsEngine", "GefsCrash", "GefsDamage", "GefsExample",
                "GefsMend", "GefsStress",
            ],
            swiftSettings: strict),
        .testTarget(
            name: "GefsCrashTests", dependencies: ["GefsEngine", "GefsCrash"],
            swiftSettings: strict),
        .testTarget(
            name: "GefsServerTests",
            dependencies: [
                "GefsEngine", "GefsServer", "GefsControl", "GefsClient", "NineP",
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: strict),
        .testTarget(
            name: "GefsToolTests",
            dependencies: ["GefsTool", "GefsControl", "GefsEngine", "GefsClient"],
            swiftSettings: strict),
        // The fuzzers are a package of their own; what they run is here, without them.
        .testTarget(
            name: "GefsFuzzTests",
            dependencies: [
                "NineP", "GefsFormat", "GefsEngine", "GefsServer", "GefsControl", "GefsClient",
                "GefsTool",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ], path: "Fuzz/Targets", exclude: ["Linked"], swiftSettings: strict),
    ]
)
