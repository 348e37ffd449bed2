import GefsEngine

/// Why a request is answered with Rerror.
enum RequestError: Error, Hashable {
    /// The engine refuses or failed.
    case file(FileError)
    case unknownFid
    case fidInUse
    case tagInUse
    /// A walk or attach beyond what one connection may have.
    case tooManyFids
    /// A walk from a fid that is open.
    case fidIsOpen
    /// A write to a fid that is open for reading only.
    case notOpenForWriting
    case unknownMessage(UInt8)
    /// A wstat whose record cannot be decoded.
    case unparsableStat
    /// The reply is larger than the message size agreed on.
    case replyTooLarge
    case authenticationDisabled
    case authenticationNeedless
    case attachDenied
    /// What the control tree does not have.
    case controlRefuses
    case notOpen
    /// A line written to the file `ctl` of label `adm`.
    case message(ControlMessageError)
}
