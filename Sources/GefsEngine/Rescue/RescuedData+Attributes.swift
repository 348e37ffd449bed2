import GefsFormat

extension RescuedData {
    /// The extended attributes of a file as far as they are whole, by name. Source: Docs/FORMAT.md
    /// 12.4.
    ///
    /// - Parameter first: the layer that the file's entry is from.
    func attributes(
        of entry: DirectoryEntry, layer first: Int
    ) throws(RescueError) -> [(name: [UInt8], value: [UInt8])] {
        guard entry.posix?.hasAttributes ?? false else { return [] }
        var all: [(name: [UInt8], value: [UInt8], parts: Int)] = []
        let unknown = try tree.read(
            .prefix(Key.attributePrefix(entry.qidPath).bytes), from: first
        ) { (layer) throws(RescueError) in
            layer == first
        } _: { (_, key, value) throws(RescueError) in
            guard let view = AttributeKeyView(key) else { return }
            let name = Array(view.name)
            if all.last?.name != name { all.append((name, [], 0)) }
            guard all[all.count - 1].parts == Int(view.part) else {
                // One before is missing: so is all that comes.
                all[all.count - 1].parts = -1
                return
            }
            all[all.count - 1].value += Array(value)
            all[all.count - 1].parts += 1
        }
        return all.compactMap { name, value, parts in
            // A full last part may have had others behind it.
            let mayGoOn = !unknown.isEmpty && value.count.isMultiple(of: AttributeKeyView.partBytes)
            return parts > 0 && !(mayGoOn && !value.isEmpty) ? (name, value) : nil
        }
    }
}
