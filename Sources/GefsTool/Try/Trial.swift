import GefsControl

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A fork of a branch on which a command is tried out.
struct Trial {
    /// What becomes of the fork.
    enum Choice: Equatable {
        case keep
        case apply
        case discard
    }

    let image: String
    /// The control socket of the image's server.
    let socket: String
    let branch: String
    let fork: String
    let console: Console

    /// The state that the fork began with, so that it can be compared.
    private var start: String { fork + ".start" }

    private func perform(
        _ words: [String], reply: (String, [UInt8]) throws -> Void = { _, _ in }
    ) throws -> ExitStatus {
        try ControlClient.perform(words, at: socket, reply: reply)
    }

    private func show(_ words: [String]) throws -> ExitStatus {
        let printer = ReportPrinter(console)
        return try perform(words) { try printer.show($0, $1) }
    }

    func begin() throws {
        _ = try perform(["snap", "create", branch, start])
        do {
            _ = try perform(["snap", "fork", start, fork])
        } catch {
            // A branch of the fork's name may be somebody else's.
            _ = try? perform(["snap", "delete", start])
            throw error
        }
        do {
            // Its schedule would leave labels behind that nobody asked for.
            _ = try perform(["snap", "retain", fork, "none"])
        } catch {
            _ = try? perform(["snap", "delete", fork, start])
            throw error
        }
        console.detail("forked \(fork) from \(branch)")
    }

    /// Runs the command in the fork, which is mounted for it where that can be.
    func run(_ command: [String], mounts: Bool) throws -> CommandStatus {
        var variables = environment
        guard mounts, let directory = try mounted() else {
            return try ChildProcess.run(command, environment: variables)
        }
        defer {
            _ = try? perform(["unmount", directory])
            rmdir(directory)
        }
        variables["GEFS_DIR"] = directory
        return try ChildProcess.run(command, environment: variables, in: directory)
    }

    /// A directory of its own that the fork is mounted on; nil where it cannot be mounted.
    private func mounted() throws -> String? {
        let directory = try LocalFile.temporaryDirectory()
        do {
            _ = try perform(["mount", directory, "-o", "branch=\(fork)"])
            return directory
        } catch let failure as CommandFailure {
            rmdir(directory)
            console.note(
                "the fork is not mounted, and the command finds it at $GEFS_SOCKET: \(failure.why)")
            return nil
        }
    }

    /// What the command finds in its environment.
    private var environment: [String: String] {
        [
            "GEFS_SOCKET": socket, "GEFS_IMAGE": Self.resolved(image), "GEFS_BRANCH": fork,
            "GEFS_ATTACH": fork,
        ]
    }

    /// A path that is good in any folder.
    private static func resolved(_ path: String) -> String {
        guard let name = realpath(path, nil) else { return path }
        defer { free(name) }
        return String(cString: name)
    }

    /// Shows what the fork has changed; false where that is nothing.
    func showChanges() throws -> Bool {
        let status = try show(["snap", "diff", start, fork])
        if status == .done { console.note("nothing was changed") }
        return status != .done
    }

    /// Does what was chosen.
    ///
    /// - Returns: `findings` where the fork could not be applied because of conflicts.
    func end(_ choice: Choice) throws -> ExitStatus {
        switch choice {
        case .keep:
            _ = try perform(["snap", "delete", start])
            _ = try perform(["snap", "retain", fork, "default"])
            console.note("kept as branch \(fork); to go on:")
            for line in nextSteps { console.note("  \(line)") }
            return .done
        case .discard:
            try discard()
            console.note("discarded")
            return .done
        case .apply:
            let status = try show(["snap", "merge", fork, "into", branch])
            guard status == .done else {
                _ = try end(.keep)
                return status
            }
            try discard()
            return .done
        }
    }

    func discard() throws {
        // Or the setting would outlive the fork.
        _ = try perform(["snap", "retain", fork, "default"])
        _ = try perform(["snap", "delete", fork, start])
    }

    private var nextSteps: [String] {
        let image = ByteText.shown(image)
        return [
            "gefs snap merge \(image) \(fork) into \(branch)",
            "gefs snap delete \(image) \(fork)",
        ]
    }

    /// Asks what is to become of the fork; nil where nobody answers.
    func ask() throws -> Choice? {
        while true {
            let question = Array(
                "gefs: (a)pply to \(branch), (k)eep as \(fork), (d)iscard, (s)how? ".utf8)
            _ = question.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
            guard let answer = readLine(strippingNewline: true)?.lowercased() else { return nil }
            switch answer {
            case "a", "apply": return .apply
            case "k", "keep": return .keep
            case "d", "discard": return .discard
            case "s", "show":
                _ = try showChanges()
                try console.output.flush()
            default: break
            }
        }
    }
}
