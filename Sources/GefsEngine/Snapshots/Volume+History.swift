import GefsFormat

extension Volume {
    /// Changes labels, all or nothing, in one commit; durable on return.
    ///
    /// Changes that are asked for at the same time share a commit.
    func change(_ changes: [HistoryChange]) throws(FileError) {
        try checkWritable()
        guard !changes.isEmpty else { return }
        let request = HistoryRequest(changes)
        // What a roll-back goes to is a committed state: of a branch, the one that is asked for.
        if request.isRollback { try sync() }
        try lock.locked { () throws(FileError) -> Void in
            if requests.isStopped { throw .closed }
            requests.history.append(request)
            requests.wantsCommit = true
            lock.signal()
            while request.result == nil {
                if let failure { throw failure }
                if requests.isStopped { throw .closed }
                lock.wait()
            }
        }
        try request.result?.get()
    }

    /// The requests that the next commit makes true. Lock held.
    func takeHistoryRequests() -> [HistoryRequest] {
        let isAlone = requests.history.first?.isRollback ?? false
        let count = isAlone ? 1 : requests.history.prefix { !$0.isRollback }.count
        let taken = Array(requests.history.prefix(count))
        requests.history.removeFirst(count)
        if !requests.history.isEmpty { requests.wantsCommit = true }
        return taken
    }

    /// Decides which requests can be granted. The others are answered at once.
    func admit(_ asked: [HistoryRequest], _ work: CommitWork) {
        var forecast = LabelForecast(history)
        for request in asked {
            var next = forecast
            do throws(FileError) {
                for change in request.changes {
                    try next.apply(change)
                    try checkConfiguration(change)
                }
                try claim(request.changes)
            } catch {
                answer([request], .failure(error))
                continue
            }
            forecast = next
            work.requests.append(request)
        }
        guard let first = work.requests.first?.changes.first,
            case .rollback(let branch, let source, let keeping) = first
        else { return }
        do throws(FileError) {
            try startRollback(branch, to: source, keeping: keeping, work)
        } catch {
            answer(work.requests, .failure(error))
            work.requests = []
        }
    }

    /// What is not set cannot be cleared. Source: SEMANTICS 12.28.
    private func checkConfiguration(_ change: HistoryChange) throws(FileError) {
        guard case .configure(let key, nil) = change else { return }
        guard try snapshots.value(Key.config(key)) != nil else { throw .label(.notSet, key) }
    }

    func answer(_ requests: [HistoryRequest], _ result: Result<Void, FileError>) {
        guard !requests.isEmpty else { return }
        lock.locked {
            for request in requests { request.result = result }
            lock.signal()
        }
    }

    /// Keeps everybody away from labels that are to be deleted; refused where somebody uses one.
    private func claim(_ changes: [HistoryChange]) throws(FileError) {
        var names: [[UInt8]] = []
        for case .delete(let name) in changes { names.append(name) }
        guard !names.isEmpty else { return }
        // From here on nobody opens one of them; those who try wait.
        let open = lock.locked { () -> [Branch] in
            leaving.formUnion(names)
            return names.compactMap { branches[$0] }
        }
        let sorted = open.sorted { ObjectIdentifier($0) < ObjectIdentifier($1) }
        for branch in sorted { branch.lock.lock() }
        let used = sorted.first { $0.userCount > 0 }
        if used == nil { for branch in sorted { branch.retire() } }
        for branch in sorted { branch.lock.unlock() }
        guard let used else {
            lock.locked { for name in names { branches[name] = nil } }
            return
        }
        lock.locked {
            leaving.subtract(names)
            lock.signal()
        }
        throw .label(.inUse, used.label ?? [])
    }

    /// Makes the granted changes, after the branches have advanced.
    func performHistory(_ work: CommitWork) throws(FileError) {
        for request in work.requests {
            for change in request.changes { try perform(change, work) }
        }
    }

    private func perform(_ change: HistoryChange, _ work: CommitWork) throws(FileError) {
        switch change {
        case .snapshot(let source, let name):
            guard let label = history.label(source) else { return }
            try setLabel(
                name, LabelRecord(generation: label.generation, flags: 0), time: now(), work)
        case .fork(let source, let name):
            guard let origin = history.read({ $0.record(ofLabel: source) }) else { return }
            let fork = addFork(of: origin, work)
            try setLabel(
                name,
                LabelRecord(generation: fork.generation, flags: LabelRecord.flagMutable),
                time: now(), work)
        case .delete(let name):
            try removeLabel(name, work)
            forgetBranch(name)
        case .rename(let name, let new):
            try rename(name, to: new, work)
        case .rollback(let branch, _, _):
            try finishRollback(branch, work)
        case .configure(let key, let value):
            if let value {
                try snapshots.put(Key.config(key), value)
            } else {
                try snapshots.remove(Key.config(key))
            }
        }
    }

    private func rename(
        _ name: [UInt8], to new: [UInt8], _ work: CommitWork
    ) throws(FileError) {
        guard let label = history.label(name) else { return }
        let time = history.read { $0.times[name] }
        try removeLabel(name, work)
        try setLabel(new, label, time: time, work)
        lock.locked {
            guard let branch = branches.removeValue(forKey: name) else { return }
            branch.label = new
            branches[new] = branch
            if usedLabels.remove(name) != nil { usedLabels.insert(new) }
        }
    }

    /// The first record of a line that begins with the state of `origin`.
    func addFork(of origin: SnapshotRecord, _ work: CommitWork) -> SnapshotRecord {
        let fork = SnapshotRecord(
            referenceCount: 0, labelCount: 1, height: origin.height, flags: 0,
            generation: takeGeneration(),
            predecessor: dialect == .r ? origin.generation : .none, successor: .none,
            base: origin.generation, root: origin.root)
        history.change { graph in
            graph.put(fork)
            if let size = graph.sizes[origin.generation] {
                graph.sizes[fork.generation] = TreeSize(referenced: size.referenced, own: 0)
            }
        }
        work.touch(fork.generation, origin.generation)
        return fork
    }

    // MARK: Labels

    /// Lets a label name a record.
    func setLabel(
        _ name: [UInt8], _ label: LabelRecord, time: Int64?, _ work: CommitWork
    ) throws(FileError) {
        let old = history.change { graph in
            let old = graph.labels[name]?.generation
            graph.setLabel(name, label)
            graph.times[name] = time
            return old
        }
        work.touch(label.generation)
        if let old { work.release(old) }
        try snapshots.put(Key.label(name), label.encoded())
        if let time, let key = LabelTime.key(name) {
            try snapshots.put(key, Array(String(time).utf8))
        }
    }

    /// Takes a label away; what only it held goes when the commit comes to that.
    func removeLabel(_ name: [UInt8], _ work: CommitWork) throws(FileError) {
        let old = history.change { graph in
            let old = graph.labels[name]?.generation
            graph.removeLabel(name)
            graph.times[name] = nil
            return old
        }
        if let old { work.release(old) }
        try snapshots.remove(Key.label(name))
        if let key = LabelTime.key(name) { try snapshots.remove(key) }
    }

    private func forgetBranch(_ name: [UInt8]) {
        lock.locked {
            usedLabels.remove(name)
            leaving.remove(name)
            lock.signal()
        }
    }

    // MARK: Records

    /// Writes down every record that has changed, with the counts that the dialect wants.
    func writeRecords(_ work: CommitWork) throws(FileError) {
        for generation in miscounted { work.touch(generation) }
        miscounted = []
        for generation in work.takeTouched() {
            let (record, size) = history.read { graph -> (SnapshotRecord?, TreeSize?) in
                guard var record = graph.records[generation] else { return (nil, nil) }
                record.labelCount = UInt32(clamping: graph.labelCount(of: generation))
                record.referenceCount = UInt32(
                    clamping: graph.referenceCount(of: generation, in: dialect))
                return (record, graph.sizes[generation])
            }
            if let record {
                try snapshots.put(record)
            } else {
                try snapshots.remove(Key.snapshot(generation))
            }
            if let record, let size {
                try snapshots.put(TreeSize.key(record.generation), size.value)
            } else {
                try snapshots.remove(TreeSize.key(generation))
            }
        }
    }
}

/// When a label was made: a configuration value of ours in the snapshot tree, which the original
/// ignores. The format itself keeps no times of snapshots.
enum LabelTime {
    static let keyPrefix = Array("gefs.time.".utf8)

    /// Nil for a label whose name is too long to be part of a key.
    static func key(_ label: [UInt8]) -> Key? {
        guard 1 + keyPrefix.count + label.count <= Geometry.keyBytesMax else { return nil }
        return Key.config(keyPrefix + label)
    }
}
