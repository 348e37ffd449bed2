import NineP

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Where replies are matched with those who wait for them.
///
/// No thread of its own: whoever waits while nobody reads does the reading, for everybody.
final class ReplyBoard: @unchecked Sendable {
    private enum Slot {
        case free
        case waiting
        case arrived([UInt8])
    }

    private let transport: Transport
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    /// By tag; guarded by the mutex, as is all that follows.
    private var slots: [Slot] = []
    private var freeTags: [UInt16] = []
    private var isReading = false
    private var failure: ClientError?
    private var messageBytesMax: Int

    /// Requests that may be outstanding: tags that are not NOTAG.
    private static let tagCountMax = 0xffff

    init(_ transport: Transport, messageBytesMax: Int) {
        self.transport = transport
        self.messageBytesMax = messageBytesMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
        transport.closeDescriptor()
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }

    func setMessageBytesMax(_ count: Int) {
        locked { messageBytesMax = count }
    }

    /// Takes a tag for a request about to be sent; waits while all are taken.
    func takeTag() throws(ClientError) -> Tag {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if let failure { throw failure }
            if let tag = freeTags.popLast() {
                slots[Int(tag)] = .waiting
                return Tag(rawValue: tag)
            }
            if slots.count < Self.tagCountMax {
                slots.append(.waiting)
                return Tag(rawValue: UInt16(slots.count - 1))
            }
            pthread_cond_wait(condition, mutex)
        }
    }

    /// Waits for the reply: the whole message. The tag is free afterwards.
    func wait(for tag: Tag) throws(ClientError) -> [UInt8] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while true {
            if case .arrived(let message) = slots[Int(tag.rawValue)] {
                release(tag)
                return message
            }
            if let failure {
                release(tag)
                throw failure
            }
            if isReading {
                pthread_cond_wait(condition, mutex)
                continue
            }
            isReading = true
            let limit = messageBytesMax
            pthread_mutex_unlock(mutex)
            let result = Result { () throws(ClientError) in try readMessage(limit: limit) }
            pthread_mutex_lock(mutex)
            isReading = false
            deliver(result)
            pthread_cond_broadcast(condition)
        }
    }

    /// Makes everything fail from now on.
    func fail(_ error: ClientError) {
        locked { if failure == nil { failure = error } }
        pthread_cond_broadcast(condition)
    }

    /// Gives back a tag whose request was not sent.
    func cancel(_ tag: Tag) {
        locked { release(tag) }
    }

    private func release(_ tag: Tag) {
        slots[Int(tag.rawValue)] = .free
        freeTags.append(tag.rawValue)
        pthread_cond_broadcast(condition)
    }

    private func deliver(_ result: Result<[UInt8], ClientError>) {
        switch result {
        case .success(let message):
            let tag = Int(message[5]) | Int(message[6]) << 8
            guard tag < slots.count, case .waiting = slots[tag] else {
                failure = .unexpectedReply(type: message[4])
                return
            }
            slots[tag] = .arrived(message)
        case .failure(let error): if failure == nil { failure = error }
        }
    }

    /// Reads one message; at least a header long.
    func readMessage(limit: Int) throws(ClientError) -> [UInt8] {
        var sizeField: UInt32 = 0
        var failure: ClientError?
        withUnsafeMutableBytes(of: &sizeField) { buffer in
            do throws(ClientError) { try transport.read(into: buffer) } catch { failure = error }
        }
        if let failure { throw failure }
        let size = Int(UInt32(littleEndian: sizeField))
        guard size >= WireLimits.headerBytes else {
            throw .malformed(.frameTooShort(byteCount: size))
        }
        guard size <= limit else {
            throw .malformed(.frameTooLong(byteCount: size, limit: limit))
        }
        let message = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            let bytes = UnsafeMutableRawBufferPointer(buffer)
            bytes.storeBytes(of: sizeField, as: UInt32.self)
            let rest = UnsafeMutableRawBufferPointer(rebasing: bytes[4..<size])
            do throws(ClientError) {
                try transport.read(into: rest)
                count = size
            } catch {
                failure = error
                count = 0
            }
        }
        if let failure { throw failure }
        return message
    }
}
