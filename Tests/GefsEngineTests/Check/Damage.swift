import GefsFormat

@testable import GefsEngine

/// One way to damage a volume, and what the checker has to say about it.
struct Damage: Sendable, CustomStringConvertible {
    /// What is done.
    let description: String
    /// The kind of finding that has to be there.
    let kind: String
    /// The name of the block that it has to name, if any.
    let block: String?
    /// Whether the oracle sees it alike.
    let isSeenByOracle: Bool
    /// Changes what is written.
    let plan: @Sendable (inout VolumePlan) -> Void
    /// Changes what was written.
    let bytes: @Sendable (inout ForgedVolume) -> Void

    private init(
        _ description: String, _ kind: String, at block: String?, isSeenByOracle: Bool,
        plan: @escaping @Sendable (inout VolumePlan) -> Void,
        bytes: @escaping @Sendable (inout ForgedVolume) -> Void
    ) {
        self.description = description
        self.kind = kind
        self.block = block
        self.isSeenByOracle = isSeenByOracle
        self.plan = plan
        self.bytes = bytes
    }

    /// Damage to blocks as they lie on the disk.
    static func bytes(
        _ description: String, _ kind: String, at block: String? = nil,
        isSeenByOracle: Bool = true, _ body: @escaping @Sendable (inout ForgedVolume) -> Void
    ) -> Damage {
        Damage(
            description, kind, at: block, isSeenByOracle: isSeenByOracle, plan: { _ in },
            bytes: body)
    }

    /// Damage with hashes that fit.
    static func plan(
        _ description: String, _ kind: String, at block: String? = nil,
        isSeenByOracle: Bool = true, _ body: @escaping @Sendable (inout VolumePlan) -> Void
    ) -> Damage {
        Damage(
            description, kind, at: block, isSeenByOracle: isSeenByOracle, plan: body,
            bytes: { _ in })
    }

    /// Damage to one node, with hashes that fit. The finding is about that node, unless it is
    /// about something else by its kind.
    static func node(
        _ block: String, _ description: String, _ kind: String, isSeenByOracle: Bool = true,
        _ body: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
    ) -> Damage {
        let named = kind.hasPrefix("node.") ? block : nil
        return plan(description, kind, at: named, isSeenByOracle: isSeenByOracle) {
            $0.tamper[block] = body
        }
    }

    /// A volume with this damage.
    func volume() -> ForgedVolume {
        var plan = VolumePlan()
        self.plan(&plan)
        var volume = ForgedVolume(plan)
        bytes(&volume)
        return volume
    }
}

/// Bytes in a node, found by its own table.
extension UnsafeMutableRawPointer {
    /// The value of a record or child.
    func value(_ index: Int) -> UnsafeMutableRawPointer {
        guard let node = try? NodeScan(self), index < node.count,
            let value = node.value(behind: node.key(index)).baseAddress
        else { preconditionFailure("no record \(index)") }
        return UnsafeMutableRawPointer(mutating: value)
    }

    /// The key of a record or child.
    func key(_ index: Int) -> UnsafeMutableRawPointer {
        guard let node = try? NodeScan(self), index < node.count,
            let key = node.key(index).baseAddress
        else { preconditionFailure("no record \(index)") }
        return UnsafeMutableRawPointer(mutating: key)
    }

    /// Exchanges two fields of 16 bits.
    func swap16(_ left: Int, _ right: Int) {
        let value = loadBigEndian(at: left, as: UInt16.self)
        storeBigEndian(loadBigEndian(at: right, as: UInt16.self), at: left)
        storeBigEndian(value, at: right)
    }
}
