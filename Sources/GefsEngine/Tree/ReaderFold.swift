import GefsFormat

/// What messages make of a value for those who only read, and for leaves that messages reach.
///
/// A message that cannot be applied changes nothing: deleting or changing an absent key leaves it
/// absent. Only the checker complains. Source: FORMAT 6.4.
enum ReaderFold {
    /// The value after one more message.
    ///
    /// - Parameters:
    ///   - current: the value before, nil if absent; it may lie in `scratch`.
    ///   - scratch: `Geometry.valueBytesMax` bytes.
    /// - Returns: the value after, nil if absent. It lies in the message, in `scratch` or where
    ///   `current` does.
    @inline(__always)
    static func apply(
        _ message: MessageView, to current: UnsafeRawBufferPointer?,
        scratch: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        switch message.kind {
        case .insert: message.payload
        case .delete, .clearb, .clobber: nil
        case .wstat, .relink, .reprev, .incref: change(message, current, scratch)
        }
    }

    @inline(never)
    private static func change(
        _ message: MessageView, _ current: UnsafeRawBufferPointer?,
        _ scratch: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        guard let current else { return nil }
        do throws(FoldError) {
            return try MessageFold.apply(
                message.kind, payload: message.payload, to: current, scratch: scratch)
        } catch {
            // Thrown before anything is changed, so `current` is still good.
            return current
        }
    }
}

extension MessageView {
    /// Whether the message decides the value whatever came before it.
    @inline(__always)
    var isDecisive: Bool {
        switch kind {
        case .insert, .delete, .clearb, .clobber: true
        case .wstat, .relink, .reprev, .incref: false
        }
    }

    /// Whether older messages for the key need not be kept. A delete has to find its key, so what
    /// makes the key present stays in front of it.
    @inline(__always)
    var supersedes: Bool {
        switch kind {
        case .insert, .clearb, .clobber: true
        case .delete, .wstat, .relink, .reprev, .incref: false
        }
    }

    /// Bytes in a pivot's buffer, with the table entry.
    @inline(__always)
    var bufferBytes: Int {
        Geometry.tableEntryBytes &+ Geometry.messageOverheadBytes &+ key.count &+ payload.count
    }
}
