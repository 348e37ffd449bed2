import GefsEngine

/// Holes, and what only a volume with features has.
extension FullDiskStress {
    /// Takes whole blocks out of a file, which works however full the volume is, or any range.
    func punch() throws {
        guard let (branch, path, old) = pickFile(), !old.isEmpty else { return }
        let takesBlocks = Bool.random(using: &generator)
        let unit = takesBlocks ? Self.block : 1
        let count = (old.count + unit - 1) / unit
        let first = Int.random(in: 0..<count, using: &generator)
        let end = Int.random(in: first..<count, using: &generator) + 1
        let range = first * unit..<end * unit
        let zeroed = range.clamped(to: 0..<old.count)
        var content = old
        content.replaceSubrange(zeroed, with: repeatElement(0, count: zeroed.count))
        let isDone = try attempt { () throws(FileError) in
            try volume.punch(range, in: path, branch)
        }
        if isDone {
            branches[branch]?.set(path, content)
        } else if takesBlocks {
            throw failure("blocks could not be taken out of \(path)")
        } else {
            // It is done block by block, and what was done stays.
            let found = try volume.contents(of: path, in: branch)
            guard found.count == old.count,
                found.indices.allSatisfy({ found[$0] == old[$0] || found[$0] == content[$0] })
            else { throw failure("a refused hole changed other bytes of \(path)") }
            branches[branch]?.set(path, found)
        }
    }

    /// Gives a file another name by a link.
    func link() throws {
        guard let (branch, path, _) = pickFile() else { return }
        let other = newPath(in: branch)
        guard
            try attempt({ () throws(FileError) in
                try volume.link(path, to: other, in: branch)
            })
        else { return }
        try volume.unlink(path, in: branch)
        branches[branch]?.move(path, to: other)
    }

    func setAttribute() throws {
        guard let (branch, path, _) = pickFile() else { return }
        let isLarge = Int.random(in: 0..<10, using: &generator) == 0
        let value = bytes(Int.random(in: 0...(isLarge ? 65_000 : 100), using: &generator))
        if try attempt({ () throws(FileError) in
            try volume.setAttribute(value, of: path, in: branch)
        }) {
            branches[branch]?.setAttribute(value, of: path)
        }
    }

    /// Works however full the volume is.
    func removeAttribute() throws {
        let branch = pickBranch()
        guard let path = branches[branch]?.attributes.keys.sorted().randomElement(using: &generator)
        else { return }
        try volume.setAttribute(nil, of: path, in: branch)
        branches[branch]?.setAttribute(nil, of: path)
    }
}
