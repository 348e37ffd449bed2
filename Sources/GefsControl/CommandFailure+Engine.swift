import GefsEngine
import GefsFormat

extension CommandFailure {
    /// What the engine refused, in a user's words. `what` is the image or file it is about.
    public init(_ what: String, _ error: FileError) {
        switch error {
        case .corrupt(let block):
            self.init(what, block)
        case .device(let device):
            self.init(what, device)
        case .store(let store):
            self.init(what, store)
        case .badRecord(let record, let root):
            self.init(
                what, "tree at block \(root): \(record)", next: Self.checkIt, status: .corrupt)
        case .missingRoot(let root):
            self.init(
                what, "tree at block \(root) has no root directory", next: Self.checkIt,
                status: .corrupt)
        case .badUsersFile(let line, let fault):
            self.init(
                what, "users file, line \(line): \(fault.words)",
                next: "open it with --permissive, mend adm:/users, then say gefs ctl IMAGE users")
        case .volumeFull:
            self.init(what, "file system full", status: .noSpace)
        case .permissionDenied, .notOwner, .notOwnerOrLeader, .notInGroup:
            self.init(what, "permission denied", status: .permission)
        case .readOnly:
            self.init(what, "file system read only")
        case .unknownLabel:
            self.init(what, "no such branch", next: "gefs snap list shows them")
        case .label(let fault, let name):
            self.init(String(decoding: name, as: UTF8.self), fault)
        case .branchName(let fault, let branch):
            self.init(what, fault, of: branch)
        case .retention(let fault):
            self.init(
                "retain", fault.words,
                next: "a schedule is words [COUNT]@[INTERVAL]UNIT, as 60@m 24@h @d", status: .usage)
        case .interference:
            self.init(
                what, "others changed the same files again and again", next: "try it again",
                status: .busy)
        case .noCommonAncestor:
            self.init(what, "the two have no snapshot in common, from which they could be merged")
        case .notFound:
            self.init(what, "no such file or directory")
        case .fileTooBig:
            self.init(what, "the users file is too big")
        case .closed:
            self.init(what, "the file system is closed")
        default:
            self.init(what, "\(error)")
        }
    }

    /// A label that is refused.
    public init(_ name: String, _ fault: LabelFault) {
        switch fault {
        case .exists: self.init(name, "a branch or snapshot of that name exists")
        case .unknown:
            self.init(name, "no such branch or snapshot", next: "gefs snap list shows them")
        case .reserved: self.init(name, "reserved: the file system needs it")
        case .inUse: self.init(name, "in use: somebody is attached to it", status: .busy)
        case .badName: self.init(name, "no name for a branch or snapshot", status: .usage)
        case .immutable: self.init(name, "is a snapshot, which cannot be changed")
        case .notSet: self.init(name, "is not set")
        case .badConfiguration: self.init(name, "cannot be stored as a setting", status: .usage)
        }
    }

    /// A name for a state that its branch does not have.
    private init(_ what: String, _ fault: BranchNameFault, of branch: [UInt8]) {
        let branch = String(decoding: branch, as: UTF8.self)
        let next = "gefs snap list shows the snapshots"
        switch fault {
        case .noSuchSnapshot:
            self.init(what, "neither a time nor a snapshot of \(branch)", next: next)
        case .noSnapshots:
            self.init(what, "\(branch) has no snapshots of known times", next: next)
        case .tooEarly(let oldest, let nanoseconds):
            let seconds = nanoseconds / 1_000_000_000 - (nanoseconds % 1_000_000_000 < 0 ? 1 : 0)
            let time = CivilTime(seconds: seconds).map { ", of \($0)" } ?? ""
            let name = String(decoding: oldest, as: UTF8.self)
            self.init(what, "the oldest snapshot of \(branch) is \(name)\(time)", next: next)
        case .tooFew(let count):
            self.init(
                what, "\(branch) has \(count) state\(count == 1 ? "" : "s") with snapshots",
                next: next)
        }
    }

    /// A block that is not what its place says.
    public init(_ what: String, _ block: CorruptBlock) {
        if case .magic = block.reason {
            self.init(
                what, "not a gefs: \(block.reason)",
                next: "if it was one, gefs check finds what is left; gefs ream makes a new one",
                status: .noImage)
        } else {
            self.init(what, "\(block)", next: Self.checkIt, status: .corrupt)
        }
    }

    private static let checkIt = "run gefs check on the image"

    /// Arenas or their logs that cannot be used.
    public init(_ what: String, _ error: StoreError) {
        switch error {
        case .device(let device), .superblock(.device(let device)): self.init(what, device)
        case .corrupt(let block), .superblock(.corrupt(let block)): self.init(what, block)
        case .superblock(.wouldBlock): self.init(what, "\(error)")
        case .arenaUnusable, .arenaOutside, .logOutside, .logLoop, .logEntryOutside,
            .logContradiction, .logBlockFree, .notInArena, .notAllocated, .usedByLog, .logFull,
            .barrierNotNewer:
            self.init(what, "\(error)", next: Self.checkIt, status: .corrupt)
        }
    }

    /// What the device failed with.
    public init(_ what: String, _ error: DeviceError) {
        switch error {
        case .busy:
            self.init(what, "busy: another process has it open", status: .busy)
        case .notFound:
            self.init(what, "no such image", next: "gefs ream makes one", status: .noImage)
        case .unsuitable:
            self.init(what, "neither a file nor a disk", status: .noImage)
        case .permissionDenied:
            self.init(what, "permission denied", status: .permission)
        case .alreadyExists:
            self.init(what, "exists already")
        case .openFailed, .resizeFailed, .readFailed, .writeFailed, .flushFailed, .pastEnd,
            .readOnly:
            self.init(what, "\(error)")
        }
    }
}

extension UsersFileFault {
    /// What is wrong with the line.
    public var words: String {
        switch self {
        case .empty: "there are no users"
        case .missingNewline: "the last line has no end"
        case .wrongFieldCount(let count): "\(count) fields, expected id:name:leader:members"
        case .badIdentifier: "the id is no number"
        case .nameTooLong: "the name is empty or longer than 127 bytes"
        case .duplicateIdentifier: "the id is taken by a line before"
        case .duplicateName: "the name is taken by a line before"
        case .unknownLeader: "the leader is no user"
        case .unknownMember: "a member is no user"
        case .leaderIsNone: "none cannot lead"
        case .missingUser(let name): "user \(name) is missing"
        }
    }
}

extension RetentionFault {
    /// What is wrong with the schedule.
    public var words: String {
        switch self {
        case .missingSign(let word): "'\(Self.text(word))' has no @ behind a count"
        case .badNumber(let word):
            "'\(Self.text(word))': counts are up to 999999, intervals 1 to 999999"
        case .badUnit(let word): "'\(Self.text(word))' does not end in one of m, h and d"
        case .repeatedUnit(let word): "'\(Self.text(word))' repeats a unit"
        }
    }

    private static func text(_ word: [UInt8]) -> String { String(decoding: word, as: UTF8.self) }
}
