import GefsEngine
import NIOCore
import NineP

extension RequestExecutor {
    /// Reads straight into the reply, behind the room its header takes.
    ///
    /// A count beyond the message size is cut. A directory record larger than the count gives
    /// nothing first, an error the next time. Source: SEMANTICS 5, 12.7, 12.45.
    func read(
        _ message: Tread, _ job: Job, _ handle: FileHandle, _ binding: FidBinding,
        into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        guard let mode = handle.openMode, mode.allowsReading else { throw .notOpen }
        let headerBytes = WireLimits.readReplyHeaderBytes
        let dataBytesMax = Self.readBytes(message.count, messageBytesMax: job.messageBytesMax)
        var failure: FileError?
        reply.writeWithUnsafeMutableBytes(minimumWritableBytes: headerBytes + dataBytesMax) {
            buffer in
            let message9 = UnsafeMutableRawBufferPointer(
                rebasing: buffer.prefix(headerBytes + dataBytesMax))
            let room = UnsafeMutableRawBufferPointer(rebasing: message9.dropFirst(headerBytes))
            do throws(FileError) {
                let count =
                    binding.qidType & WireQid.directoryType != 0
                    ? try readDirectory(message, job, handle, into: room)
                    : try fileSystem.read(handle, at: message.offset, into: room, as: job.caller)
                // Fits: the engine does not give more than it was asked for.
                return (try? Rread.encodeHeader(tag: job.tag, dataBytes: count, into: message9))
                    ?? 0
            } catch {
                failure = error
                return 0
            }
        }
        guard let failure else { return .done }
        guard failure == .recordDoesNotFit, !binding.recordDidNotFit else { throw .file(failure) }
        let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
        try reply.append(Rread(data: nothing), tag: job.tag, limit: job.messageBytesMax)
        return .recordDidNotFit
    }

    /// How many bytes a read may give.
    static func readBytes(_ count: UInt32, messageBytesMax: Int) -> Int {
        min(Int(count), max(0, messageBytesMax - WireLimits.readReplyHeaderBytes))
    }

    /// Puts whole stat records into `room`.
    private func readDirectory(
        _ message: Tread, _ job: Job, _ handle: FileHandle,
        into room: UnsafeMutableRawBufferPointer
    ) throws(FileError) -> Int {
        // Labels come from a tree of their own, which may have to be read.
        if handle.isDump, !job.mayBlock { throw .wouldBlock }
        var writer = WireWriter(room)
        var names = UserNames(fileSystem.users)
        return try fileSystem.readDirectory(handle, at: message.offset, as: job.caller) { item in
            let entry = item.entry
            return names.withNames(
                owner: UserID(rawValue: entry.uid), group: UserID(rawValue: entry.gid),
                lastModifier: UserID(rawValue: entry.muid)
            ) { owner, group, lastModifier -> Int? in
                var stat = Stat()
                stat.qid = WireQid(
                    type: entry.qidType, version: entry.qidVersion, path: entry.qidPath)
                stat.mode = entry.mode
                stat.accessTime = WireTime.seconds(entry.accessTime)
                stat.modificationTime = WireTime.seconds(entry.modificationTime)
                stat.length =
                    entry.qidType & WireQid.directoryType != 0
                    ? 0 : UInt64(bitPattern: entry.length)
                stat.name = item.name
                stat.user = owner
                stat.group = group
                stat.lastModifier = lastModifier
                guard stat.byteCount <= writer.remainingBytes else { return nil }
                stat.encode(into: &writer)
                return stat.byteCount
            }
        }
    }
}

/// Seconds of 9P and nanoseconds of the engine.
enum WireTime {
    private static let nanosecondsPerSecond: Int64 = 1_000_000_000

    /// The nearest second, as far as 32 bits without a sign reach.
    static func seconds(_ nanoseconds: Int64) -> UInt32 {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: nanosecondsPerSecond)
        return UInt32(clamping: rest >= nanosecondsPerSecond / 2 ? seconds + 1 : seconds)
    }

    static func nanoseconds(_ seconds: UInt32) -> Int64 {
        Int64(seconds) * nanosecondsPerSecond
    }
}

/// Lends users' names, remembering the last ones: the entries of a directory are often one user's.
///
/// An unknown user shows as `none`, an unknown group as `nogroup`. Source: SEMANTICS 6.
struct UserNames {
    private let users: UserTable
    private var owner: (id: UserID, name: [UInt8])
    private var group: (id: UserID, name: [UInt8])
    private var lastModifier: (id: UserID, name: [UInt8])

    private static let noneName = Array("none".utf8)
    private static let nogroupName = Array("nogroup".utf8)

    init(_ users: UserTable) {
        self.users = users
        owner = (users.none, Self.noneName)
        group = (users.nogroup, Self.nogroupName)
        lastModifier = (users.none, Self.noneName)
    }

    mutating func withNames<R>(
        owner ownerID: UserID, group groupID: UserID, lastModifier lastModifierID: UserID,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> R
    ) -> R {
        if owner.id != ownerID { owner = (ownerID, users.name(of: ownerID) ?? Self.noneName) }
        if group.id != groupID { group = (groupID, users.name(of: groupID) ?? Self.nogroupName) }
        if lastModifier.id != lastModifierID {
            lastModifier = (lastModifierID, users.name(of: lastModifierID) ?? Self.noneName)
        }
        return owner.name.withUnsafeBytes { owner in
            group.name.withUnsafeBytes { group in
                lastModifier.name.withUnsafeBytes { body(owner, group, $0) }
            }
        }
    }
}
