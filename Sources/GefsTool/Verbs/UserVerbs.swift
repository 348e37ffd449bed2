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
        var options = id.map { ["--id", "\($0)"] } ?? []
        if noLeader { options.append("--no-leader") }
        if let leader, !noLeader { options += ["--leader", leader] }
        options += member.flatMap { ["--member", $0] }
        try edit.change("add", operands, count: 1...1, console, options: options)
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
        try edit.change("remove", operands, count: 1...1, console)
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
        try edit.change("rename", operands, count: 2...2, console)
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
        try edit.change("leader", operands, count: 1...2, console)
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
        try edit.change("join", operands, count: 2...2, console)
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
        try edit.change("leave", operands, count: 2...2, console)
    }
}

/// Options of verbs that edit the users file.
struct UserEditOptions: ParsableArguments {
    @OptionGroup var image: ImageOptions
    @OptionGroup var output: OutputOptions

    /// Lets who holds the image change the file, commit and take it over.
    ///
    /// - Parameters:
    ///   - operands: the image and names.
    ///   - count: how many names there have to be.
    func change(
        _ verb: String, _ operands: [String], count: ClosedRange<Int>, _ console: Console,
        options: [String] = []
    ) throws {
        let (image, names) = try image.split(operands)
        guard count.contains(names.count) else {
            throw ValidationError("Expected \(count.upperBound) names behind the image.")
        }
        _ = try Administration.perform(
            ["users", verb] + names + options, on: image, for: .writing, console: console
        ) { _, line in
            if console.isJSON { try console.output.write(line + [UInt8(ascii: "\n")]) }
        }
    }
}

extension UsersFile {
    static let target = TargetPath("adm:/users")

    /// Reads and validates the file.
    init(reading session: ImageSession) throws {
        var bytes: [UInt8] = []
        try session.readContents(of: Self.target) { offset, piece in
            let missing = Int(offset) - bytes.count
            bytes += [UInt8](repeating: 0, count: max(0, missing))
            bytes += piece
            guard bytes.count < UserTable.fileBytesMax else {
                throw CommandFailure(Self.target.shown, "the users file is too big")
            }
        }
        try self.init(bytes)
    }
}
