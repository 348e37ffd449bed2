/// The type byte of a message. Source: intro(5).
public enum MessageType: UInt8, CaseIterable, Sendable {
    case tVersion = 100
    case rVersion = 101
    case tAuth = 102
    case rAuth = 103
    case tAttach = 104
    case rAttach = 105
    case rError = 107
    case tFlush = 108
    case rFlush = 109
    case tWalk = 110
    case rWalk = 111
    case tOpen = 112
    case rOpen = 113
    case tCreate = 114
    case rCreate = 115
    case tRead = 116
    case rRead = 117
    case tWrite = 118
    case rWrite = 119
    case tClunk = 120
    case rClunk = 121
    case tRemove = 122
    case rRemove = 123
    case tStat = 124
    case rStat = 125
    case tWstat = 126
    case rWstat = 127

    /// Whether a client sends it.
    public var isRequest: Bool { rawValue & 1 == 0 }
}
