import GefsEngine
import Synchronization

/// The commands of `users`.
extension ControlService {
    /// Reads the users file again, or edits it.
    func users(_ arguments: [String], _ reply: Reply) throws {
        let operands = Array(arguments.dropFirst())
        for name in operands { try Self.check(name) }
        switch (arguments.first, operands.count) {
        case (nil, _):
            try failing { () throws(FileError) in try fileSystem.reloadUsers() }
            try reply(MessageReport("refreshed users"))
        case ("add", 1...): try editUsers(reply, try addition(operands))
        case ("remove", 1): try editUsers(reply, Self.removal(of: operands[0]))
        case ("rename", 2): try editUsers(reply, Self.renaming(operands[0], to: operands[1]))
        case ("leader", 1...2):
            try editUsers(reply) { file in
                try file.change(operands[0]) { $0.leader = operands.count > 1 ? operands[1] : nil }
            }
        case ("join", 2):
            try editUsers(reply) { file in
                _ = try file.line(of: operands[0])
                return try file.change(operands[1]) { group in
                    let isMember = group.members.contains { $0.isSame(as: operands[0]) }
                    if !isMember { group.members.append(operands[0]) }
                }
            }
        case ("leave", 2):
            try editUsers(reply) { file in
                let members = try file.line(of: operands[1]).members
                guard members.contains(where: { $0.isSame(as: operands[0]) }) else {
                    throw CommandFailure(operands[0], "is no member of \(operands[1])")
                }
                return try file.change(operands[1]) { group in
                    group.members.removeAll { $0.isSame(as: operands[0]) }
                }
            }
        default: throw Self.usersUsage
        }
    }

    private static let usersUsage = CommandFailure(
        "users",
        "usage: users | users add NAME [--id N] [--leader NAME | --no-leader] [--member NAME ...] "
            + "| users remove NAME | users rename OLD NEW | users leader GROUP [NAME] "
            + "| users join NAME GROUP | users leave NAME GROUP", status: .usage)

    /// What changes the text of the file, and gives the line that it is about.
    private typealias Edit = (inout UsersFile) throws -> UsersFile.Line

    /// Changes the file, commits, and takes it over. Edits that come at the same time are made one
    /// after the other, each on the outcome of the one before.
    private func editUsers(_ reply: Reply, _ edit: Edit) throws {
        let line = try usersLock.withLock { _ in
            while true {
                let old = try failing { () throws(FileError) in try fileSystem.usersFile() }
                var file = try UsersFile(old.text)
                let line = try edit(&file)
                let text = try file.bytes()
                // False where somebody else has written the file meanwhile, over 9P.
                let isReplaced = try failing { () throws(FileError) in
                    try fileSystem.replaceUsersFile(text, ofVersion: old.version)
                }
                if isReplaced { return line }
            }
        }
        try reply(UserReport(line))
    }

    private func addition(_ words: [String]) throws -> Edit {
        let name = words[0]
        var (id, leader, members): (Int32?, String?, [String]) = (nil, name, [])
        var rest = words.dropFirst()
        while let option = rest.popFirst() {
            if option == "--no-leader" {
                leader = nil
                continue
            }
            guard let value = rest.popFirst() else { throw Self.usersUsage }
            switch option {
            case "--id":
                guard let number = Int32(value) else { throw Self.usersUsage }
                id = number
            case "--leader": leader = value
            case "--member": members.append(value)
            default: throw Self.usersUsage
            }
        }
        return { file in
            let line = UsersFile.Line(
                id: id ?? (name == "nogroup" ? UserID.nogroup.rawValue : file.nextID), name: name,
                leader: leader, members: members)
            file.append(line)
            return line
        }
    }

    private static func removal(of name: String) -> Edit {
        { file in
            let line = try file.line(of: name)
            file.update(name) { _ in nil }
            return line
        }
    }

    private static func renaming(_ name: String, to new: String) -> Edit {
        { file in
            _ = try file.line(of: name)
            file.updateAll { line in
                if line.name.isSame(as: name) { line.name = new }
                if line.leader?.isSame(as: name) ?? false { line.leader = new }
                line.members = line.members.map { $0.isSame(as: name) ? new : $0 }
            }
            return try file.line(of: new)
        }
    }

    /// Refuses what would be more than one field of a line.
    private static func check(_ name: String) throws {
        let bytes = ByteText.bytes(of: name)
        let isUsable =
            !bytes.isEmpty && bytes.count <= UserTable.nameBytesMax
            && bytes.first != UInt8(ascii: "#")
            && bytes.allSatisfy { $0 > 0x20 && $0 != 0x7f && !":,/".utf8.contains($0) }
        guard isUsable else {
            throw CommandFailure(
                ByteText.shown(name), "is no name for a user: no spaces, colons, commas, slashes",
                status: .usage)
        }
    }
}
