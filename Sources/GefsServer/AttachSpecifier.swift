/// What an attach name asks for. Source: SEMANTICS 2, Tattach.
struct AttachSpecifier: Equatable {
    enum Tree: Equatable {
        case label([UInt8])
        /// The one-file tree of the control socket.
        case control
    }

    var tree: Tree
    /// Asked for with `%`: permissions do not apply.
    var isPermissive: Bool

    static let mainLabel = Array("main".utf8)
    static let adminLabel = Array("adm".utf8)
    static let dumpLabel = Array("dump".utf8)
    private static let controlName = Array(".ctl".utf8)

    /// `onControlSocket` makes `.ctl` mean the control tree; elsewhere it is a label like any other.
    init(_ name: UnsafeRawBufferPointer, onControlSocket: Bool) {
        if name.first == UInt8(ascii: "%") {
            tree = .label(Array(name.dropFirst()))
            isPermissive = true
        } else if name.isEmpty {
            tree = .label(Self.mainLabel)
            isPermissive = false
        } else if onControlSocket, name.elementsEqual(Self.controlName) {
            tree = .control
            isPermissive = false
        } else {
            tree = .label(Array(name))
            isPermissive = false
        }
    }
}
