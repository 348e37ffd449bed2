import ArgumentParser
import GefsControl
import GefsEngine

struct UserVerbs: VerbGroup {
    static let configuration = CommandConfiguration(
        commandName: "users",
        abstract: "Look at and change the users and groups of a file system.",
        discussion: """
            Users and groups are one thing: a user is a group of one at least. They stand in the \
            file users of branch adm; what would break it is refused. A running server reads it \
            again at once.
            """,
        subcommands: [
            UserListVerb.self, UserShowVerb.self, UserAddVerb.self, UserRemoveVerb.self,
            UserRenameVerb.self, UserLeaderVerb.self, UserJoinVerb.self, UserLeaveVerb.self,
        ])
}

/// A user as `users` prints it in JSON.
struct UserReport: Report {
    static var type: String { "user" }
    var id: Int32
    var name: String
    var leader: String?
    var members: [String]

    init(_ line: UsersFile.Line) {
        id = line.id
        name = line.name
        leader = line.leader
        members = line.members
    }
}

struct UserListVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List users and groups: id, name, leader, members.",
        discussion: """
            Example:
              gefs users list disk.img
            """)

    @OptionGroup var image: ImageOperand
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let image = try image.resolved()
        try ImageSession.with(image, for: .reading, user: nil, console) { session in
            let file = try UsersFile(reading: session)
            if console.isJSON {
                for line in file.users { try console.object(UserReport(line)) }
                return
            }
            var table = TextTable([.right, .left, .left, .left])
            table.append(["id", "name", "leader", "members"])
            for line in file.users {
                table.append([
                    "\(line.id)", ByteText.shown(line.name), ByteText.shown(line.leader ?? "-"),
                    ByteText.shown(line.members.joined(separator: ",")),
                ])
            }
            try console.table(table)
        }
    }
}

struct UserShowVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a user, and the groups it is in.",
        usage: "gefs users show IMAGE NAME",
        discussion: """
            Example:
              gefs users show disk.img glenda
            """)

    @Argument(
        help: ArgumentHelp("The image, then the user.", valueName: "image> <name"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var image: ImageOptions
    @OptionGroup var options: OutputOptions

    var console: Console { options.console() }

    func perform(on console: Console) throws {
        let (image, names) = try image.split(operands)
        guard names.count == 1 else { throw ValidationError("Expected one argument 'NAME'.") }
        try ImageSession.with(image, for: .reading, user: nil, console) { session in
            let file = try UsersFile(reading: session)
            let line = try file.line(of: names[0])
            let groups = file.users.filter { $0.members.contains(line.name) }.map(\.name)
            try console.result(UserReport(line)) {
                var table = TextTable([.right, .left])
                table.append(["id", "\(line.id)"])
                table.append(["name", line.name])
                table.append(["leader", line.leader ?? "every member"])
                table.append(["members", line.members.joined(separator: ", ")])
                table.append(["is in", groups.joined(separator: ", ")])
                try console.table(table)
            }
        }
    }
}

struct UserAddVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "add", abstract: "Add a user or group.",
        usage: "gefs users add IMAGE NAME [--id N] [--leader NAME] [--member NAME ...]",
        discussion: """
            A user leads itself unless another leader is said; --no-leader makes a group that \
            every member leads.

            Examples:
              gefs users add disk.img rob
              gefs users add disk.img sys --no-leader --member glenda --member rob
            """)

    @Option(help: "Its number (default: the next free one).")
    var id: Int32?

    @Option(help: "Its leader (default: itself).")
    var leader: String?

    @Flag(help: "No leader: every member leads.")
    var noLeader = false

    @Option(help: "A member; say it again for more.")
    var member: [String] = []

    @Argument(
        help: ArgumentHelp("The image, then the user.", valueName: "image> <name"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        try edit.change(operands, count: 1, console) { file, names in
            let line = UsersFile.Line(
                id: id ?? file.nextID, name: names[0], leader: noLeader ? nil : leader ?? names[0],
                members: member)
            file.append(line)
            return line
        }
    }
}

struct UserRemoveVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove a user or group.",
        usage: "gefs users remove IMAGE NAME",
        discussion: """
            It must neither lead nor be a member of another group. What it owns keeps its \
            number, and is shown as belonging to none.

            Example:
              gefs users remove disk.img rob --yes
            """)

    @Argument(
        help: ArgumentHelp("The image, then the user.", valueName: "image> <name"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var confirmation: ConfirmationOptions
    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        let (_, names) = try edit.image.split(operands)
        let plan = "remove user \(names.first.map(ByteText.shown) ?? "")"
        guard try confirmation.confirm(plan, verb: "users", on: console) else { return }
        try edit.change(operands, count: 1, console) { file, names in
            let line = try file.line(of: names[0])
            file.update(line.name) { _ in nil }
            return line
        }
    }
}

struct UserRenameVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "rename", abstract: "Give a user or group another name.",
        usage: "gefs users rename IMAGE NAME NEWNAME",
        discussion: """
            Its number stays, and so does what it owns.

            Example:
              gefs users rename disk.img rob ken
            """)

    @Argument(
        help: ArgumentHelp("The image, both names.", valueName: "image> <name> <newname"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        try edit.change(operands, count: 2, console) { file, names in
            var line = try file.line(of: names[0])
            for other in file.users {
                file.update(other.name) { entry in
                    var entry = entry
                    if entry.name == names[0] { entry.name = names[1] }
                    if entry.leader == names[0] { entry.leader = names[1] }
                    entry.members = entry.members.map { $0 == names[0] ? names[1] : $0 }
                    return entry
                }
            }
            line = try file.line(of: names[1])
            return line
        }
    }
}

struct UserLeaderVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "leader", abstract: "Set the leader of a group; without one all members lead.",
        usage: "gefs users leader IMAGE GROUP [NAME]",
        discussion: """
            Example:
              gefs users leader disk.img sys glenda
            """)

    @Argument(
        help: ArgumentHelp("The image, the group, its leader.", valueName: "image> <group> <name"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        let (_, names) = try edit.image.split(operands)
        try edit.change(operands, count: names.count == 1 ? 1 : 2, console) { file, names in
            try file.change(names[0]) { $0.leader = names.count > 1 ? names[1] : nil }
        }
    }
}

struct UserJoinVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Make a user a member of a group.",
        usage: "gefs users join IMAGE NAME GROUP",
        discussion: """
            Example:
              gefs users join disk.img rob adm
            """)

    @Argument(
        help: ArgumentHelp("The image, the user, the group.", valueName: "image> <name> <group"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        try edit.change(operands, count: 2, console) { file, names in
            _ = try file.line(of: names[0])
            return try file.change(names[1]) { group in
                if !group.members.contains(names[0]) { group.members.append(names[0]) }
            }
        }
    }
}

struct UserLeaveVerb: Verb {
    static let configuration = CommandConfiguration(
        commandName: "leave", abstract: "Take a user out of a group.",
        usage: "gefs users leave IMAGE NAME GROUP",
        discussion: """
            Example:
              gefs users leave disk.img rob adm
            """)

    @Argument(
        help: ArgumentHelp("The image, the user, the group.", valueName: "image> <name> <group"),
        completion: .file())
    var operands: [String] = []

    @OptionGroup var edit: UserEditOptions

    var console: Console { edit.output.console() }

    func perform(on console: Console) throws {
        try edit.change(operands, count: 2, console) { file, names in
            guard try file.line(of: names[1]).members.contains(names[0]) else {
                throw CommandFailure(names[0], "is no member of \(names[1])")
            }
            return try file.change(names[1]) { $0.members.removeAll { $0 == names[0] } }
        }
    }
}
