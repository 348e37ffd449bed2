import GefsCrash
import GefsFormat
import Synchronization
import Testing

@testable import GefsEngine

/// What a kernel asks of a branch, and that nothing is left behind by it.
@Suite
struct PosixTests {
    private let caller = Caller(user: .none, isPermissive: true, door: 7)

    private func name<R>(
        _ text: String, _ body: (UnsafeRawBufferPointer) throws(FileError) -> R
    ) throws(FileError) -> R {
        try Array(text.utf8).withBytes(body)
    }

    private func make(
        _ volume: TestVolume, _ text: String, in directory: FileHandle, mode: UInt32 = 0o644,
        _ content: [UInt8] = []
    ) throws -> FileHandle {
        let creation = PosixCreation(
            mode: mode, owner: .adm, group: .adm, content: content)
        return try name(text) { (bytes) throws(FileError) in
            try volume.fileSystem.make(bytes, in: directory, creation, as: caller).0
        }
    }

    private func lookUp(
        _ volume: TestVolume, _ text: String, in directory: FileHandle
    ) throws -> (FileHandle, PosixStatus) {
        try name(text) { (bytes) throws(FileError) in
            try volume.fileSystem.lookUp(bytes, in: directory, as: caller)
        }
    }

    private func write(
        _ volume: TestVolume, _ handle: FileHandle, _ bytes: [UInt8], at offset: UInt64
    ) throws {
        _ = try bytes.withBytes { (bytes) throws(FileError) in
            try volume.fileSystem.writeUnchecked(handle, at: offset, from: bytes, as: caller)
        }
    }

    private func read(_ volume: TestVolume, _ handle: FileHandle) throws -> [UInt8] {
        try volume.fileSystem.content(of: handle, atMost: 1 << 20, as: caller)
    }

    private func remove(_ volume: TestVolume, _ text: String, in directory: FileHandle) throws {
        try name(text) { (bytes) throws(FileError) in
            try volume.fileSystem.removeName(
                bytes, in: directory, isDirectory: false, as: caller)
        }
    }

    private func check(_ image: MemoryImage) {
        let report = Checker.check(MemoryDevice(image, isReadOnly: true))
        #expect(report.errorCount == 0 && report.warningCount == 0, "\(report.counts)")
    }

    @Test
    func `a file without a name is written, read and cut while it is open, and goes with it`()
        throws
    {
        let volume = try TestVolume()
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, "f", in: root)
        try write(volume, file, [UInt8](repeating: 1, count: 100_000), at: 0)
        try volume.sync()
        try remove(volume, "f", in: root)
        try write(volume, file, [UInt8](repeating: 2, count: 100_000), at: 50_000)
        var changes = PosixChanges()
        changes.length = 120_000
        #expect(try volume.fileSystem.change(file, changes, as: caller).isRemoved)
        changes.length = 130_000
        _ = try volume.fileSystem.change(file, changes, as: caller)
        let expected =
            [UInt8](repeating: 1, count: 50_000) + [UInt8](repeating: 2, count: 70_000)
            + [UInt8](repeating: 0, count: 10_000)
        let isRight = try read(volume, file) == expected
        #expect(isRight)
        try volume.sync()
        // A crash now: the next start takes its data away.
        let crashed = volume.device.imageAtLastFlush()
        volume.fileSystem.close(file)
        volume.fileSystem.close(root)
        try volume.fileSystem.close()
        let closed = volume.device.image(after: volume.device.events.count)
        check(closed)
        let again = try TestVolume(image: crashed)
        let second = try again.fileSystem.attach(Array("main".utf8), as: caller)
        again.fileSystem.drainReclaims()
        again.fileSystem.close(second)
        try again.fileSystem.close()
        let after = again.device.image(after: again.device.events.count)
        check(after)
        let used = { (image: MemoryImage) in
            Checker.check(MemoryDevice(image, isReadOnly: true)).totals.verifiedBlocks
        }
        #expect(used(after) <= used(closed) + 1)
    }

    @Test
    func `a file keeps its contents behind its name as long as somebody refers to it`() throws {
        let volume = try TestVolume()
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let made = try make(volume, "f", in: root, [1, 2, 3])
        let second = try volume.fileSystem.reference(made)
        volume.fileSystem.close(made)
        try remove(volume, "f", in: root)
        try volume.fileSystem.sync(as: caller)
        #expect(try volume.fileSystem.content(of: second, atMost: 9, as: caller) == [1, 2, 3])
        #expect(try volume.fileSystem.posixStatus(second).length == 3)
        volume.fileSystem.close(second)
        volume.fileSystem.drainReclaims()
        volume.fileSystem.close(root)
        try volume.fileSystem.close()
        check(volume.device.image(after: volume.device.events.count))
    }

    @Test
    func `a file is cut on a disk that has no room for anything else`() throws {
        let volume = try TestVolume()
        let fileSystem = volume.fileSystem
        let root = try fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, "f", in: root)
        let part = [UInt8](repeating: 7, count: 1 << 20)
        var length: UInt64 = 0
        while true {
            do throws(FileError) {
                length += UInt64(
                    try part.withBytes { bytes throws(FileError) in
                        try fileSystem.writeUnchecked(file, at: length, from: bytes, as: caller)
                    })
            } catch .volumeFull {
                break
            }
        }
        // What is left goes, too.
        var count = 0
        #expect(throws: FileError.volumeFull) {
            while true {
                fileSystem.close(try make(volume, "n\(count)", in: root))
                count += 1
            }
        }
        for length: UInt64 in [length - 1, length / 2, 5, 0] {
            var changes = PosixChanges()
            changes.length = length
            #expect(try fileSystem.change(file, changes, as: caller).length == length)
        }
        fileSystem.close(file)
        fileSystem.close(root)
        try fileSystem.close()
        check(volume.device.image(after: volume.device.events.count))
    }

    @Test
    func `random renames agree with a model, and no directory gets below itself`() throws {
        let volume = try TestVolume()
        let seed = RandomWorkload.seeds([1]).last ?? 1
        print("renames: GEFS_SEED=\(seed)")
        var chance = SeededGenerator(seed: seed)
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        /// Parent and name of each file, by its number; nil parent: the root.
        struct Place: Equatable {
            var parent: UInt64
            var name: String
            var isDirectory: Bool
        }
        let rootNumber = try volume.fileSystem.posixStatus(root).qidPath
        var model: [UInt64: Place] = [:]
        var handles: [UInt64: FileHandle] = [rootNumber: root]
        let names = ["a", "b", "c", "d"]
        func isBelow(_ number: UInt64, _ above: UInt64) -> Bool {
            var next = number
            while true {
                if next == above { return true }
                guard let place = model[next] else { return false }
                next = place.parent
            }
        }
        for _ in 0..<3000 {
            let directories =
                [rootNumber] + model.filter { $0.value.isDirectory }.keys.sorted()
            let from = directories.randomElement(using: &chance) ?? rootNumber
            let to = directories.randomElement(using: &chance) ?? rootNumber
            let old = names.randomElement(using: &chance) ?? "a"
            let new = names.randomElement(using: &chance) ?? "a"
            guard let fromHandle = handles[from], let toHandle = handles[to] else { continue }
            let source = model.first { $0.value.parent == from && $0.value.name == old }
            guard let source else {
                let isDirectory = Bool.random(using: &chance)
                let handle = try make(
                    volume, old, in: fromHandle,
                    mode: isDirectory ? ModeBits.directory | 0o755 : 0o644, isDirectory ? [] : [9])
                let number = try volume.fileSystem.posixStatus(handle).qidPath
                model[number] = Place(parent: from, name: old, isDirectory: isDirectory)
                handles[number] = handle
                continue
            }
            let target = model.first { $0.value.parent == to && $0.value.name == new }
            let rule: RenameRule =
                [.replace, .keep, .exchange].randomElement(using: &chance) ?? .keep
            var expected: FileError?
            if let target {
                if rule == .keep {
                    expected = .exists
                } else if target.key != source.key {
                    if rule == .exchange {
                        if isBelow(to, source.key) || isBelow(from, target.key) {
                            expected = .insideItself
                        }
                    } else if target.value.isDirectory != source.value.isDirectory {
                        expected = target.value.isDirectory ? .isADirectory : .notADirectory
                    } else if model.contains(where: { $0.value.parent == target.key }) {
                        expected = .directoryNotEmpty
                    } else if isBelow(to, source.key) {
                        expected = .insideItself
                    }
                }
            } else if rule == .exchange {
                expected = .notFound
            } else if isBelow(to, source.key) {
                expected = .insideItself
            }
            var found: FileError?
            do throws(FileError) {
                try name(old) { (old) throws(FileError) in
                    try name(new) { (new) throws(FileError) in
                        try volume.fileSystem.rename(
                            old, in: fromHandle, to: new, in: toHandle, rule, as: caller)
                    }
                }
            } catch {
                found = error
            }
            try #require(found == expected, "\(old) -> \(new), \(rule)")
            guard expected == nil, target?.key != source.key else { continue }
            model[source.key]?.parent = to
            model[source.key]?.name = new
            if let target {
                if rule == .exchange {
                    model[target.key]?.parent = from
                    model[target.key]?.name = old
                } else {
                    model[target.key] = nil
                    if let handle = handles.removeValue(forKey: target.key) {
                        volume.fileSystem.close(handle)
                    }
                }
            }
            if Int.random(in: 0..<50, using: &chance) == 0 { try volume.sync() }
        }
        for (number, place) in model {
            let parent = try #require(handles[place.parent])
            let (handle, status) = try lookUp(volume, place.name, in: parent)
            #expect(status.qidPath == number)
            volume.fileSystem.close(handle)
        }
        for handle in handles.values { volume.fileSystem.close(handle) }
        try volume.fileSystem.close()
        check(volume.device.image(after: volume.device.events.count))
    }

    @Test
    func `observers are told of what others change, and not of their own`() throws {
        final class Notes: ChangeObserver {
            let door = 7
            let names = Mutex<[[UInt8]]>([])
            let files = Mutex(0)

            func observe(_ change: ObservedChange) {
                switch change {
                case .name(let name, _): names.withLock { $0.append(name) }
                case .file: files.withLock { $0 += 1 }
                case .everything, .users: break
                }
            }
        }
        let volume = try TestVolume()
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let notes = Notes()
        volume.fileSystem.add(notes, on: root)
        let own = try make(volume, "own", in: root)
        try write(volume, own, [1], at: 0)
        #expect(notes.names.withLock { $0.isEmpty } && notes.files.withLock { $0 } == 0)
        try volume.makeFile("other", [1])
        try volume.write("own", [2], at: 0)
        try volume.remove("other")
        #expect(notes.names.withLock { $0 } == [Array("other".utf8), Array("other".utf8)])
        #expect(notes.files.withLock { $0 } > 2)
        volume.fileSystem.remove(notes, from: root)
        try volume.makeFile("silent")
        #expect(notes.names.withLock { $0.count } == 2)
        volume.fileSystem.close(own)
        volume.fileSystem.close(root)
        try volume.fileSystem.close()
    }
}
