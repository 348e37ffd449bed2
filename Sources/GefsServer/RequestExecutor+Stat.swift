import GefsEngine
import NIOCore
import NineP

extension RequestExecutor {
    func stat(
        _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) {
        let status = try asking { () throws(FileError) in
            try fileSystem.status(handle, as: job.caller)
        }
        var names = UserNames(fileSystem.users)
        var failure: RequestError?
        status.name.withUnsafeBytes { name in
            names.withNames(
                owner: status.owner, group: status.group, lastModifier: status.lastModifier
            ) { owner, group, lastModifier in
                var stat = Stat()
                stat.qid = status.qid.wire
                stat.mode = status.mode
                stat.accessTime = WireTime.seconds(status.accessTime)
                stat.modificationTime = WireTime.seconds(status.modificationTime)
                stat.length = status.length
                stat.name = name
                stat.user = owner
                stat.group = group
                stat.lastModifier = lastModifier
                do throws(RequestError) {
                    try reply.append(Rstat(stat: stat), tag: job.tag, limit: job.messageBytesMax)
                } catch {
                    failure = error
                }
            }
        }
        if let failure { throw failure }
    }

    /// Changes attributes, or syncs where nothing is to change. Source: SEMANTICS 6.
    func wstat(
        _ message: Twstat, _ job: Job, _ handle: FileHandle, into reply: inout ByteBuffer
    ) throws(RequestError) -> Outcome {
        let stat: Stat
        do throws(ProtocolError) {
            stat = try Stat(record: message.record)
        } catch {
            throw .unparsableStat
        }
        if stat.changesNothing { return .mustSync }
        let changes = try AttributeChanges(stat, users: fileSystem.users)
        // Only the access time, which is not kept: nothing to do, and nothing to wait for.
        if !changes.isEmpty {
            try asking { () throws(FileError) in
                try fileSystem.change(handle, changes, as: job.caller)
            }
        }
        try reply.append(Rwstat(), tag: job.tag, limit: job.messageBytesMax)
        return .done
    }
}

extension AttributeChanges {
    /// Takes over what the record does not leave alone; type, device, access time and last modifier
    /// are nobody's to change and are passed over.
    ///
    /// - Throws: that a user or group does not exist.
    init(_ stat: Stat, users: UserTable) throws(RequestError) {
        self.init()
        if !stat.name.isEmpty { name = Array(stat.name) }
        if stat.length != Stat.Untouched.length { length = stat.length }
        if stat.mode != Stat.Untouched.mode { mode = stat.mode }
        if stat.modificationTime != Stat.Untouched.time {
            modificationTime = WireTime.nanoseconds(stat.modificationTime)
        }
        if stat.qid.path != WireQid.untouched.path { qidPath = stat.qid.path }
        if stat.qid.version != WireQid.untouched.version { qidVersion = stat.qid.version }
        if stat.qid.type != WireQid.untouched.type { qidType = stat.qid.type }
        if !stat.user.isEmpty {
            guard let user = users.id(of: stat.user) else { throw .file(.unknownUser) }
            owner = user
        }
        if !stat.group.isEmpty {
            guard let found = users.id(of: stat.group) else { throw .file(.unknownGroup) }
            group = found
        }
    }
}
