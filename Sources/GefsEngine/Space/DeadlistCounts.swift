import GefsFormat

/// How much is on deadlists, as far as somebody has looked.
///
/// Thread-safe. A list that changes is forgotten by whoever changes it: its new blocks may lie
/// where the old ones did.
final class DeadlistCounts: @unchecked Sendable {
    private struct Place: Hashable {
        var generation: Generation
        var birth: Generation
    }

    private let lock = Lock()
    /// lock.
    private var counts: [Place: (record: DeadlistRecord, count: DeadCount)] = [:]

    /// To be called when a key of the snapshot tree gets another value, or goes.
    func forget(_ key: Key) {
        guard key.bytes.first == KeyKind.deadlist.rawValue,
            case .deadlist(let generation, let birth)? = key.withBytes({ try? DecodedKey($0) })
        else { return }
        lock.locked { counts[Place(generation: generation, birth: birth)] = nil }
    }

    func count(of list: Deadlist) -> DeadCount? {
        lock.locked {
            let place = Place(generation: list.generation, birth: list.birth)
            guard let known = counts[place], known.record == list.record else { return nil }
            return known.count
        }
    }

    func note(_ count: DeadCount, of list: Deadlist) {
        lock.locked {
            counts[Place(generation: list.generation, birth: list.birth)] = (list.record, count)
        }
    }
}
