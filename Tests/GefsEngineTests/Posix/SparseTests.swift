import GefsCrash
import GefsFormat
import Testing

@testable import GefsEngine

/// What a file with holes takes, and where its data is.
@Suite
struct SparseTests {
    private static let block = UInt64(Geometry.blockBytes)
    private let caller = Caller(user: .none, isPermissive: true, door: 7)

    private func make(_ volume: TestVolume, in root: FileHandle) throws -> FileHandle {
        let creation = PosixCreation(mode: 0o644, owner: .adm, group: .adm)
        return try Array("f".utf8).withBytes { (bytes) throws(FileError) in
            try volume.fileSystem.make(bytes, in: root, creation, as: caller).0
        }
    }

    private func write(
        _ volume: TestVolume, _ file: FileHandle, _ count: Int, at offset: UInt64
    ) throws {
        try [UInt8](repeating: 1, count: count).withBytes { (bytes) throws(FileError) in
            _ = try volume.fileSystem.writeUnchecked(
                file, at: offset, from: bytes, as: caller)
        }
    }

    /// The blocks that a file is to have.
    private struct Model {
        var length: UInt64 = 0
        var blocks: Set<UInt64> = []

        mutating func write(_ range: Range<UInt64>) {
            guard !range.isEmpty else { return }
            blocks.formUnion((range.lowerBound / block)...((range.upperBound - 1) / block))
            length = max(length, range.upperBound)
        }

        mutating func setLength(_ new: UInt64) {
            length = new
            blocks = blocks.filter { $0 < Geometry.blockCount(coveringBytes: new) }
        }

        /// What is not a whole block is overwritten with zeros, where there is one.
        mutating func punch(_ range: Range<UInt64>) {
            let end = min(range.upperBound, length)
            guard range.lowerBound < end else { return }
            let first = (range.lowerBound + block - 1) / block
            let last = end == length ? Geometry.blockCount(coveringBytes: end) : end / block
            guard first < last else { return }
            blocks.subtract(first..<last)
        }
    }

    @Test(arguments: [FormatFeatures.posix, []])
    func `what a file takes is known after every change, and found again`(
        _ features: FormatFeatures
    ) throws {
        let volume = try TestVolume(features: features)
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, in: root)
        var generator = SeededGenerator(seed: 3)
        var model = Model()
        for step in 0..<600 {
            let offset = UInt64.random(in: 0..<(80 * Self.block), using: &generator)
            let count = UInt64.random(in: 1..<(9 * Self.block), using: &generator)
            switch Int.random(in: 0..<12, using: &generator) {
            case 0..<5:
                try write(volume, file, Int(count), at: offset)
                model.write(offset..<(offset + count))
            case 5..<7:
                var changes = PosixChanges()
                changes.length = offset
                _ = try volume.fileSystem.change(file, changes, as: caller)
                model.setLength(offset)
            case 7..<10:
                let extends = Bool.random(using: &generator)
                try volume.fileSystem.allocate(
                    file, offset..<(offset + count), extends ? .zeros : .hole,
                    extends: extends, as: caller)
                model.punch(offset..<(offset + count))
                if extends { model.length = max(model.length, offset + count) }
            case 10: try volume.fileSystem.sync(as: caller)
            default: file.node?.holes = nil
            }
            let status = try volume.fileSystem.posixStatus(file)
            #expect(status.length == model.length)
            #expect(status.allocatedBytes == UInt64(model.blocks.count) * Self.block, "\(step)")
        }
        volume.fileSystem.close(file)
        volume.fileSystem.close(root)
        guard features == .posix else { return }
        try volume.reopen()
        let again = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let (found, status) = try volume.fileSystem.lookUp(
            Array("f".utf8), in: again, as: caller)
        #expect(status.allocatedBytes == UInt64(model.blocks.count) * Self.block)
        // What comes through 9P counts as well.
        var change = AttributeChanges()
        change.length = model.length + 100 * Self.block
        try volume.fileSystem.change(found, change, as: caller)
        #expect(
            try volume.fileSystem.posixStatus(found).allocatedBytes == status.allocatedBytes)
        volume.fileSystem.close(found)
        volume.fileSystem.close(again)
        try volume.fileSystem.close()
    }

    @Test
    func `only a file that may have holes is searched for them`() throws {
        let volume = try TestVolume(features: .posix)
        let root = try volume.fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, in: root)
        try write(volume, file, 100 * Geometry.blockBytes, at: 0)
        try volume.fileSystem.allocate(
            file, 0..<(3 * Self.block), .hole, extends: false, as: caller)
        #expect(file.node?.entry.posix?.mayHaveHoles == true)
        try write(volume, file, 3 * Geometry.blockBytes, at: 0)
        // It was filled again.
        #expect(file.node?.entry.posix?.mayHaveHoles == false)
        volume.fileSystem.close(file)
        let (again, status) = try volume.fileSystem.lookUp(
            Array("f".utf8), in: root, as: caller)
        #expect(status.allocatedBytes == 100 * Self.block)
        #expect(again.node?.holes == HoleMap())
        volume.fileSystem.close(again)
        volume.fileSystem.close(root)
        try volume.fileSystem.close()
    }

    /// All that is looked at in one step was taken away: that is no reason to look no further.
    @Test
    func `data is found behind a hole that was just made`() throws {
        let volume = try TestVolume()
        let fileSystem = volume.fileSystem
        let root = try fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, in: root)
        try write(volume, file, 1000 * Geometry.blockBytes, at: 0)
        try fileSystem.sync(as: caller)
        try fileSystem.allocate(
            file, (10 * Self.block)..<(900 * Self.block), .hole, extends: false, as: caller)
        #expect(
            try fileSystem.seek(file, to: .data, from: 10 * Self.block, as: caller)
                == 900 * Self.block)
        #expect(
            try fileSystem.seek(file, to: .hole, from: 0, as: caller) == 10 * Self.block)
        #expect(
            try fileSystem.seek(file, to: .hole, from: 900 * Self.block, as: caller)
                == 1000 * Self.block)
        #expect(try fileSystem.posixStatus(file).allocatedBytes == 110 * Self.block)
        file.node?.holes = nil
        #expect(try fileSystem.posixStatus(file).allocatedBytes == 110 * Self.block)
        fileSystem.close(file)
        fileSystem.close(root)
        try fileSystem.close()
    }

    @Test
    func `an allocation makes a file no shorter, and wants room`() throws {
        let volume = try TestVolume()
        let fileSystem = volume.fileSystem
        let root = try fileSystem.attach(Array("main".utf8), as: caller)
        let file = try make(volume, in: root)
        try write(volume, file, 5 * Geometry.blockBytes, at: 0)
        try fileSystem.allocate(file, 0..<100, .room, extends: true, as: caller)
        #expect(try fileSystem.posixStatus(file).length == 5 * Self.block)
        var changes = PosixChanges()
        changes.length = 7
        changes.isLengthMinimum = true
        #expect(try fileSystem.change(file, changes, as: caller).length == 5 * Self.block)
        for kind in [Allocation.room, .zeros] {
            #expect(throws: FileError.volumeFull) {
                try fileSystem.allocate(file, 0..<(1 << 50), kind, extends: true, as: caller)
            }
        }
        #expect(try fileSystem.posixStatus(file).length == 5 * Self.block)
        #expect(try fileSystem.posixStatus(file).allocatedBytes == 5 * Self.block)
        fileSystem.close(file)
        fileSystem.close(root)
        try fileSystem.close()
    }
}
