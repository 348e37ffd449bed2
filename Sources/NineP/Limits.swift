/// Sizes that 9P2000 fixes. Source: intro(5), walk(5), read(5).
public enum WireLimits {
    /// `size[4] type[1] tag[2]`.
    public static let headerBytes = 7
    /// Elements of one walk.
    public static let walkNamesMax = 16
    /// What a read or write needs at most besides its data; the original's IOHDRSZ.
    public static let ioHeaderBytes = 24
    /// Header of a Twrite: `size[4] Twrite tag[2] fid[4] offset[8] count[4]`.
    public static let writeHeaderBytes = 23
    /// Header of an Rread: `size[4] Rread tag[2] count[4]`.
    public static let readReplyHeaderBytes = 11
    /// Bytes of a frame before a message size has been agreed on.
    public static let unnegotiatedMessageBytesMax = 32768
}
