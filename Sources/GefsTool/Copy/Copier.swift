import GefsControl
import GefsEngine

/// Copies trees from one side to the other.
final class Copier<Source: CopySide, Target: CopySide> {
    struct Options {
        var isRecursive = false
        var followsLinks = false
        var keepsExisting = false
    }

    private let source: Source
    private let target: Target
    private let options: Options
    private let console: Console
    private let progress: ProgressLine
    private var bytesCopied: UInt64 = 0
    private var bytesPlanned: UInt64 = 0
    /// Where files with several names have got their first one.
    private var linked: [CopyIdentity: Target.Place] = [:]

    /// How many files and directories were made, and how many had to be left out.
    private(set) var filesCopied: UInt64 = 0
    private(set) var skipped: UInt64 = 0

    /// Blocks of a gefs: a block of zeros at its place is left out and becomes a hole.
    private let holeBytes = 16384

    init(_ source: Source, _ target: Target, _ options: Options, _ console: Console) {
        self.source = source
        self.target = target
        self.options = options
        self.console = console
        progress = ProgressLine("cp", .bytes, on: console)
    }

    var copiedBytes: UInt64 { bytesCopied }

    /// Adds up what is to be copied and refuses what cannot fit.
    func plan(_ items: [(Source.Place, CopyItem)], to place: Target.Place) throws {
        var blocks: UInt64 = 0
        for (start, item) in items {
            try visit(start, item) { _, item in
                bytesPlanned += item.isDirectory ? 0 : item.size
                blocks += (min(item.allocatedBytes, item.size) + 16383) / 16384
            }
        }
        guard let free = try target.freeBytes(near: place) else { return }
        let needed = blocks * 16384
        if needed > free {
            throw CommandFailure(
                target.shown(place),
                "no space: \(HumanSize.text(needed)) to copy, \(HumanSize.text(free)) free",
                status: .noSpace)
        }
    }

    /// Copies one file or tree; `item` is what is at the source.
    func copy(_ start: Source.Place, _ item: CopyItem, to destination: Target.Place) throws {
        defer { progress.finish() }
        guard item.isDirectory else {
            try copyOne(start, item, to: destination)
            return
        }
        guard options.isRecursive else {
            throw CommandFailure(
                source.shown(start), "is a directory", next: "say -r to copy all of it")
        }
        // Directories are met twice, since their times change while they are filled.
        var pending = [Step(from: start, to: destination, item: item, isFilled: false)]
        while let step = pending.popLast() {
            try Interruption.check()
            if step.isFilled {
                try copyAttributes(step.from, to: step.to)
                try target.finishDirectory(at: step.to, step.item)
                continue
            }
            guard step.item.isDirectory else {
                try copyOne(step.from, step.item, to: step.to)
                continue
            }
            try makeDirectory(step)
            pending.append(Step(from: step.from, to: step.to, item: step.item, isFilled: true))
            for (name, child) in try source.children(
                of: step.from, followsLinks: options.followsLinks
            ).reversed() {
                pending.append(
                    Step(
                        from: source.child(name, of: step.from),
                        to: target.child(name, of: step.to),
                        item: child, isFilled: false))
            }
        }
    }

    private struct Step {
        var from: Source.Place
        var to: Target.Place
        var item: CopyItem
        var isFilled: Bool
    }

    private func makeDirectory(_ step: Step) throws {
        if let existing = try target.item(at: step.to, followsLinks: true) {
            guard existing.isDirectory else {
                throw CommandFailure(target.shown(step.to), "exists and is no directory")
            }
            return
        }
        try target.makeDirectory(at: step.to, step.item)
        filesCopied += 1
    }

    private func copyOne(
        _ from: Source.Place, _ item: CopyItem, to destination: Target.Place
    ) throws {
        if case .unsupported(let what) = item.kind {
            console.note("cp: \(source.shown(from)): \(what), left out")
            skipped += 1
            return
        }
        if let existing = try target.item(at: destination, followsLinks: true) {
            guard !existing.isDirectory else {
                throw CommandFailure(target.shown(destination), "is a directory")
            }
            if options.keepsExisting { return }
        }
        console.detail("\(source.shown(from)) -> \(target.shown(destination))")
        let identity =
            source.keepsPosix && target.keepsPosix ? try source.identity(of: from) : nil
        if let identity, let first = linked[identity],
            try target.makeLink(at: destination, to: first)
        {
            filesCopied += 1
            return
        }
        let sink = try target.makeFile(at: destination, item)
        do {
            var end: UInt64 = 0
            try source.readContents(of: from) { offset, bytes in
                try Interruption.check()
                try writeWithHoles(bytes, at: offset, to: sink)
                end = max(end, offset + UInt64(bytes.count))
                bytesCopied += UInt64(bytes.count)
                progress.update(bytesCopied, of: bytesPlanned > 0 ? bytesPlanned : nil)
            }
            var final = item
            final.size = max(item.size, end)
            try sink.finish(final)
        } catch {
            sink.abandon()
            throw error
        }
        try copyAttributes(from, to: destination)
        if let identity { linked[identity] = destination }
        filesCopied += 1
    }

    /// Extended attributes, where both sides have them.
    private func copyAttributes(_ from: Source.Place, to destination: Target.Place) throws {
        guard source.keepsPosix, target.keepsPosix else { return }
        for attribute in try source.attributes(of: from) {
            guard try !target.setAttribute(attribute, of: destination) else { continue }
            let name = ByteText.shown(attribute.name)
            console.detail("\(target.shown(destination)): no place for attribute \(name)")
        }
    }

    /// Writes what is not zero, in pieces as long as possible.
    private func writeWithHoles(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64, to sink: any CopySink
    ) throws {
        var start = 0
        var position = 0
        while position < bytes.count {
            let misalignment = Int((offset + UInt64(position)) % UInt64(holeBytes))
            let next = min(bytes.count, position + holeBytes - misalignment)
            if Self.isZero(UnsafeRawBufferPointer(rebasing: bytes[position..<next])) {
                try write(bytes, start..<position, at: offset, to: sink)
                start = next
            }
            position = next
        }
        try write(bytes, start..<bytes.count, at: offset, to: sink)
    }

    private func write(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, at offset: UInt64,
        to sink: any CopySink
    ) throws {
        guard !range.isEmpty else { return }
        try sink.write(
            UnsafeRawBufferPointer(rebasing: bytes[range]), at: offset + UInt64(range.lowerBound))
    }

    private static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var position = 0
        while position + 8 <= bytes.count {
            if bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) != 0 { return false }
            position += 8
        }
        return bytes[position...].allSatisfy { $0 == 0 }
    }

    private func visit(
        _ start: Source.Place, _ item: CopyItem, _ body: (Source.Place, CopyItem) -> Void
    ) throws {
        var pending = [(start, item)]
        while let (place, item) = pending.popLast() {
            try Interruption.check()
            body(place, item)
            guard item.isDirectory, options.isRecursive else { continue }
            for (name, child) in try source.children(
                of: place, followsLinks: options.followsLinks)
            {
                pending.append((source.child(name, of: place), child))
            }
        }
    }
}
