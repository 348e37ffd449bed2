import GefsEngine
import GefsFormat

extension CrashWorkload {
    /// All there are.
    static let all: [CrashWorkload] = [
        firstCommits, files, snapshots, rollback, sleepers, logs, foreignLogs, grow, full, repair,
        random, busy, wide, links, posix,
    ]

    private static let firstCommits = CrashWorkload(
        name: "commits", summary: "the first commits of a fresh volume, one file",
        isSmall: true
    ) { run in
        try run.edit { files, run in try files.makeFile("a", on: run) }
        try run.edit { files, run in try files.write("a", files.bytes(20_000), at: 0, on: run) }
        try run.sync()
        try run.edit { files, run in try files.write("a", files.bytes(300), at: 16_300, on: run) }
        try run.sync()
    }

    private static let files = CrashWorkload(
        name: "files", summary: "files and directories made, written, cut, renamed, removed",
        isSmall: true,
        prepare: { run in
            try run.edit { files, run in
                try files.makeDirectory("d", on: run)
                try files.makeFile("d/old", on: run)
                try files.write("d/old", files.bytes(50_000), at: 0, on: run)
                try files.makeFile("gone", on: run)
                try files.write("gone", files.bytes(17_000), at: 100, on: run)
            }
        }
    ) { run in
        try run.edit { files, run in try files.makeDirectory("d/e", on: run) }
        try run.edit { files, run in try files.makeFile("d/e/new", on: run) }
        try run.edit { files, run in
            try files.write("d/e/new", files.bytes(30_000), at: 5000, on: run)
        }
        try run.sync()
        try run.edit { files, run in try files.setLength("d/old", 20_001, on: run) }
        try run.edit { files, run in try files.rename("d/e/new", to: "other", on: run) }
        try run.edit { files, run in try files.remove("gone", on: run) }
        try run.sync()
        try run.edit { files, run in try files.rename("d", to: "dd", on: run) }
        try run.edit { files, run in try files.setLength("dd/old", 0, on: run) }
        try run.sync()
    }

    private static let snapshots = CrashWorkload(
        name: "snapshots", summary: "snapshots and forks made, written behind, renamed, deleted",
        isSmall: true,
        prepare: { run in
            try run.edit { files, run in
                for index in 0..<3 {
                    try files.makeFile("f\(index)", on: run)
                    try files.write("f\(index)", files.bytes(20_000), at: 0, on: run)
                }
            }
        }
    ) { run in
        try run.perform { try $0.takeSnapshot(of: "main", as: "s1", on: $1) }
        try run.edit { files, run in try files.write("f0", files.bytes(9000), at: 10, on: run) }
        try run.perform { try $0.fork("s1", as: "fork", on: $1) }
        try run.edit("fork") { files, run in try files.remove("f1", on: run) }
        try run.edit { files, run in try files.setLength("f2", 100, on: run) }
        try run.sync()
        try run.perform { try $0.takeSnapshot(of: "fork", as: "s2", on: $1) }
        try run.perform { try $0.delete(["s1"], on: $1) }
        try run.perform { try $0.rename("s2", to: "s3", on: $1) }
        try run.perform { try $0.delete(["fork", "s3"], on: $1) }
    }

    private static let rollback = CrashWorkload(
        name: "rollback",
        summary: "a branch goes back to a snapshot, and what it was is kept or not",
        isSmall: true,
        prepare: { run in
            try run.edit { files, run in
                try files.makeFile("f", on: run)
                try files.write("f", files.bytes(40_000), at: 0, on: run)
            }
            try run.perform { try $0.takeSnapshot(of: "main", as: "s", on: $1) }
        }
    ) { run in
        try run.edit { files, run in try files.write("f", files.bytes(18_000), at: 99, on: run) }
        try run.edit { files, run in try files.makeFile("g", on: run) }
        try run.perform { try $0.rollBack("main", to: "s", keeping: "kept", on: $1) }
        try run.edit { files, run in try files.remove("f", on: run) }
        try run.sync()
        try run.perform { try $0.rollBack("main", to: "kept", keeping: nil, on: $1) }
        try run.perform { try $0.delete(["s"], on: $1) }
    }

    private static let sleepers = CrashWorkload(
        name: "sleepers", summary: "commits that leave arenas out, which wake in a later one",
        isSmall: true, stretchBlocks: 3,
        prepare: { run in try run.someFiles(6, bytes: 30_000) }
    ) { run in
        for index in 0..<4 {
            try run.edit { files, run in
                try files.write("f\(index)", files.bytes(100), at: 20 * index, on: run)
            }
            try run.sync()
        }
    }

    private static let logs = CrashWorkload(
        name: "logs", summary: "allocation logs grow and are compressed", logBlocksMin: 1,
        logGrowthMax: 1,
        prepare: { run in
            try run.someFiles(4, bytes: 20_000)
            for index in 0..<120 {
                try run.edit { files, run in
                    let bytes = files.bytes(200 + index)
                    try files.write("f\(index % 4)", bytes, at: index * 40, on: run)
                }
                try run.sync()
            }
        }
    ) { run in
        for _ in 0..<24 {
            for _ in 0..<2 { try run.perform { try $0.changeFiles($1) } }
            try run.sync()
        }
    }

    private static let foreignLogs = CrashWorkload(
        name: "foreign-logs", summary: "logs as the original leaves them: long, with old barriers",
        stretchBlocks: 4,
        prepare: { run in
            // Before the second commit there is no barrier that could be old.
            for round in 0..<3 {
                try run.someFiles(3, bytes: 30_000, prefix: "r\(round)")
                try run.sync()
            }
        },
        forge: { ForeignLogs.lengthen(&$0) }
    ) { run in
        for _ in 0..<6 {
            try run.perform { try $0.changeFiles($1) }
            try run.sync()
        }
    }

    private static let grow = CrashWorkload(
        name: "grow", summary: "a volume on a longer device grows",
        isSmall: true, stretchBlocks: 5,
        prepare: { run in try run.someFiles(2, bytes: 20_000) },
        forge: { $0.resize(to: $0.byteCount + 66 << 20) },
        prologue: { device in _ = try Grow.run(device: device) }
    ) { run in
        try run.edit { files, run in try files.makeFile("new", on: run) }
        try run.sync()
        try run.edit { files, run in try files.write("new", files.bytes(20_000), at: 0, on: run) }
        try run.sync()
    }

    private static let full = CrashWorkload(
        name: "full", summary: "a full disk: refusals, removals, truncations, deletions",
        arenaBlocks: 52, stretchBlocks: 16,
        prepare: { run in
            try run.someFiles(60, bytes: 33_000)
            try run.perform { try $0.takeSnapshot(of: "main", as: "holds", on: $1) }
            try run.someFiles(40, bytes: 17_000, prefix: "g")
        }
    ) { run in
        try run.edit { files, run in try files.remove("f0", on: run) }
        try run.someFiles(3, bytes: 20_000, prefix: "h")
        try run.sync()
        for _ in 0..<8 { try run.perform { try $0.changeFiles($1) } }
        try run.sync()
        try run.perform { try $0.delete(["holds"], on: $1) }
        try run.someFiles(3, bytes: 20_000, prefix: "i")
        try run.sync()
    }

    private static let repair = CrashWorkload(
        name: "repair", summary: "a repair of a volume with leaked blocks",
        repairsLeaks: true,
        prepare: { run in
            try run.someFiles(4, bytes: 30_000)
            try run.perform { try $0.takeSnapshot(of: "main", as: "s", on: $1) }
            for _ in 0..<4 { try run.step() }
        },
        forge: { PendingList.forget(&$0) }
    ) { run in
        _ = try run.fileSystem.repair()
        try run.edit { files, run in try files.makeFile("new", on: run) }
        try run.sync()
    }

    private static let random = CrashWorkload(
        name: "random", summary: "whatever chance brings: files, labels, syncs", stretchBlocks: 40,
        prepare: { run in
            for _ in 0..<20 { try run.step() }
        }
    ) { run in
        for _ in 0..<25 { try run.step() }
    }

    private static let wide = CrashWorkload(
        name: "wide", summary: "so many arenas that a superblock is longer than a sector",
        arenaCount: 29, arenaBlocks: 50, stretchBlocks: 5,
        prepare: { run in try run.someFiles(5, bytes: 20_000) }
    ) { run in
        for _ in 0..<4 {
            try run.perform { try $0.changeFiles($1) }
            try run.sync()
        }
    }

    private static let links = CrashWorkload(
        name: "links",
        summary: "hard links made, taken away, renamed over each other; extended attributes",
        isSmall: true, features: .posix,
        prepare: { run in
            try run.edit { files, run in
                try files.makeDirectory("d", on: run)
                try files.makeFile("a", on: run)
                try files.write("a", files.bytes(20_000), at: 0, on: run)
                try files.makeFile("b", on: run)
                try files.setAttribute("user.b", of: "b", to: files.bytes(600), on: run)
            }
        }
    ) { run in
        try run.edit { files, run in try files.link("a", "d/a", on: run) }
        try run.edit { files, run in
            try files.setAttribute("user.x", of: "d/a", to: files.bytes(1100), on: run)
        }
        try run.sync()
        try run.edit { files, run in try files.link("d/a", "c", on: run) }
        try run.edit { files, run in try files.remove("a", on: run) }
        try run.edit { files, run in try files.replace("c", with: "b", on: run) }
        try run.sync()
        try run.edit { files, run in try files.exchange("c", "d/a", on: run) }
        try run.edit { files, run in
            try files.setAttribute("user.x", of: "c", to: nil, on: run)
        }
        try run.edit { files, run in try files.link("d/a", "e", on: run) }
        try run.edit { files, run in try files.move("e", to: "d/e", on: run) }
        try run.sync()
        try run.edit { files, run in try files.remove("d/e", on: run) }
        try run.edit { files, run in try files.remove("d/a", on: run) }
        try run.edit { files, run in try files.remove("c", on: run) }
        try run.sync()
    }

    private static let posix = CrashWorkload(
        name: "posix", summary: "whatever chance brings on a volume with the feature posix",
        features: .posix, stretchBlocks: 40,
        prepare: { run in
            for _ in 0..<30 { try run.step() }
        }
    ) { run in
        for _ in 0..<25 { try run.step() }
    }

    private static let busy = CrashWorkload(
        name: "busy", summary: "the same with many arenas at work and logs compressed at once",
        stretchBlocks: 6, logBlocksMin: 0, logGrowthMax: 1,
        prepare: { run in
            for _ in 0..<60 { try run.step() }
        }
    ) { run in
        for _ in 0..<40 { try run.step() }
    }
}

extension ModelledRun {
    /// One operation on files of a branch.
    func edit(
        _ branch: String = "main",
        _ body: (inout RandomWorkload, ModelledRun) throws -> Void
    ) throws {
        try perform { workload, run in
            try workload.edit(branch, on: run) { files in try body(&files, run) }
        }
    }

    /// Makes files in `main`, as far as there is room.
    func someFiles(_ count: Int, bytes: Int, prefix: String = "f") throws {
        for index in 0..<count {
            try edit { files, run in try files.makeFile("\(prefix)\(index)", on: run) }
            try edit { files, run in
                // There may have been no room for the file itself.
                guard files.model.items["\(prefix)\(index)"] != nil else { return }
                try files.write("\(prefix)\(index)", files.bytes(bytes), at: 0, on: run)
            }
        }
    }
}
