/// Reports as text for people.
public struct ReportText: Sendable {
    /// Sizes as plain byte counts.
    public var showsBytes = false
    /// Notes are worth a line.
    public var isVerbose = false

    public init(showsBytes: Bool = false, isVerbose: Bool = false) {
        self.showsBytes = showsBytes
        self.isVerbose = isVerbose
    }

    /// The lines of a report, from its JSON.
    ///
    /// - Throws: `DecodingError` where the JSON is not that of the type.
    public func lines(_ type: String, _ line: [UInt8]) throws -> [String] {
        func decode<R: Report>(_ report: R.Type) throws -> R {
            try ReportLine.decode(report, from: line)
        }
        switch type {
        case FindingReport.type: return lines(try decode(FindingReport.self))
        case CheckResultReport.type: return lines(try decode(CheckResultReport.self))
        case DamagedBlockReport.type: return try decode(DamagedBlockReport.self).lines()
        case ScrubReport.type: return [try decode(ScrubReport.self).line(size)]
        case RepairResultReport.type: return lines(try decode(RepairResultReport.self))
        case RepairNoteReport.type: return [try decode(RepairNoteReport.self).message]
        case DeviceRepairReport.type: return [try decode(DeviceRepairReport.self).line]
        case DiskSpaceReport.type: return lines(try decode(DiskSpaceReport.self))
        case VolumeReport.type: return lines(try decode(VolumeReport.self))
        case LabelReport.type: return [try decode(LabelReport.self).text(size)]
        case DeletionReport.type: return try decode(DeletionReport.self).text(size)
        case SpaceUseReport.type: return try decode(SpaceUseReport.self).text(size)
        case PermissiveReport.type:
            let report = try decode(PermissiveReport.self)
            return ["permissive: \(report.before ? 1 : 0) → \(report.after ? 1 : 0)"]
        case UserReport.type: return [try decode(UserReport.self).text]
        case LabelChangeReport.type: return try decode(LabelChangeReport.self).text
        case SettingReport.type: return [try decode(SettingReport.self).text]
        case RetentionReport.type: return [try decode(RetentionReport.self).text]
        case LabelNameReport.type: return [try decode(LabelNameReport.self).text]
        case ReserveReport.type:
            let report = try decode(ReserveReport.self)
            return ["reserve: \(report.before ? 1 : 0) → \(report.after ? 1 : 0)"]
        case FidReport.type:
            let report = try decode(FidReport.self)
            return [
                "\(report.client) \(report.fid) \(report.user) \(report.label) \(report.path)"
                    + (report.open ? " open" : "")
            ]
        case ChangeReport.type:
            return [try decode(ChangeReport.self).line(isVerbose: isVerbose)]
        case ComparisonReport.type: return try decode(ComparisonReport.self).lines(size)
        case FileVersionReport.type: return [try decode(FileVersionReport.self).line(size)]
        case FileHistoryReport.type:
            return isVerbose ? [try decode(FileHistoryReport.self).line] : []
        case TransplantItemReport.type: return [try decode(TransplantItemReport.self).line]
        case RestoreReport.type: return [try decode(RestoreReport.self).line(size)]
        case ConflictReport.type: return [try decode(ConflictReport.self).line]
        case MergeResultReport.type: return [try decode(MergeResultReport.self).line(size)]
        case MessageReport.type: return [try decode(MessageReport.self).text]
        case HaltReport.type: return ["gefs: ending..."]
        case DumpReport.type: return [try decode(DumpReport.self).text]
        case EndReport.type: return []
        case CommandFailure.type: return [try decode(CommandFailure.self).description]
        case HelpReport.type:
            var table = TextTable([.left, .left])
            for command in try decode(HelpReport.self).commands {
                table.append([command.usage, command.effect])
            }
            return table.lines()
        default:
            // A newer server has more to say; its words are better than none.
            return [String(decoding: line, as: UTF8.self)]
        }
    }

    private func size(_ byteCount: UInt64) -> String {
        showsBytes ? String(byteCount) : HumanSize.text(byteCount)
    }

    private func lines(_ report: FindingReport) -> [String] {
        report.severity == "note" && !isVerbose ? [] : ["\(report.severity): \(report.message)"]
    }

    private func lines(_ report: CheckResultReport) -> [String] {
        var lines = report.kinds.filter { $0.count > $0.listed && $0.severity != "note" }.map {
            "\($0.severity): \($0.count - $0.listed) more of \($0.kind)"
        }
        lines.append(report.summary)
        lines.append(
            "verified \(size(report.verifiedBytes)) in \(report.verifiedBlocks) blocks")
        if !report.complete { lines.append("the check could not look at everything") }
        let isBroken = report.errors > 0 || !report.complete
        lines.append(
            "\(isBroken ? "broken" : "ok"): \(report.errors) errors, \(report.warnings) warnings")
        return lines
    }

    private func lines(_ report: RepairResultReport) -> [String] {
        let parts = [
            (report.droppedSnapshots, "snapshot", "without a label dropped"),
            (report.correctedCounts, "wrong count", "of a snapshot corrected"),
            (report.discardedLists, "senseless deadlist", "removed"),
            (report.reclaimedBlocks, "leaked block", "reclaimed (\(size(report.reclaimedBytes)))"),
        ].filter { $0.0 > 0 }.map { "repaired: \($0.0) \($0.1)\($0.0 == 1 ? "" : "s") \($0.2)" }
        return parts.isEmpty ? ["nothing to repair"] : parts
    }

    private func lines(_ report: DiskSpaceReport) -> [String] {
        var table = TextTable([.right, .right, .right, .right, .right])
        table.append(["arena", "used", "size", "reserve", "full"])
        for arena in report.arenas {
            table.append([
                "\(arena.index)", size(arena.used), size(arena.size), size(arena.reserve),
                Self.percent(arena.used, of: arena.size),
            ])
        }
        table.append([
            "all", size(report.used), size(report.size), size(report.reserve),
            Self.percent(report.used, of: report.size),
        ])
        var lines = table.lines() + ["available: \(size(report.available))"]
        if let failure = report.failure { lines.append("nothing can be written: \(failure)") }
        return lines
    }

    private static func percent(_ part: UInt64, of whole: UInt64) -> String {
        guard whole > 0 else { return "-" }
        return "\(Int((Double(part) * 100 / Double(whole)).rounded())) %"
    }

    private func lines(_ report: VolumeReport) -> [String] {
        var table = TextTable([.right, .left])
        table.append(["image", report.image])
        table.append(["format", "\(report.format), dialect \(report.dialect)"])
        table.append(["device", "\(size(report.deviceSize)), blocks of \(size(report.blockSize))"])
        table.append([
            "space",
            "\(size(report.used)) used, \(size(report.available)) available "
                + "in \(report.arenas) arenas",
        ])
        table.append(["labels", "\(report.labels), \(report.branches) of them branches"])
        table.append(["users", "\(report.users)"])
        table.append(["commit", "\(report.commit)"])
        table.append(["next", "generation \(report.nextGeneration), qid \(report.nextQid)"])
        // Who only looks at an image has it open for reading; that says nothing about the image.
        if report.readOnly, report.server != nil { table.append(["state", "read-only"]) }
        if let scrub = report.scrub { table.append(["health", scrub.line(size)]) }
        if let failure = report.failure { table.append(["failure", failure]) }
        if let server = report.server {
            table.append([
                "server",
                "process \(server.process), \(server.connections) connections"
                    + (server.permissive ? ", permissive" : ""),
            ])
            for listener in server.listeners { table.append(["listens", listener]) }
            for mount in server.mounts { table.append(["mounted on", mount]) }
        }
        return table.lines()
    }
}
