/// What of the kernel's interface `<linux/fuse.h>` of Debian 12 does not know yet.
///
/// Source: the kernel's include/uapi/linux/fuse.h (7.42) and Documentation/filesystems/fuse/fuse-io-uring.rst.
enum KernelInterface {
    /// Of `fuse_init_in` and `fuse_init_out`: there are more flags, in `flags2`.
    static let hasMoreFlags: UInt32 = 1 << 30
    /// Of `flags2`: requests come over io_uring.
    static let overRing: UInt32 = 1 << 9

    /// An operation: a file without a name is made and opened. Its arguments and its reply are those
    /// of `FUSE_CREATE`.
    static let makeNameless: UInt32 = 51
    /// The name that goes with it: no file has it.
    static let namelessName = [UInt8(ascii: "/")]

    /// What is asked of io_uring, `cmd_op` of a submission.
    enum RingCommand: UInt32 {
        /// Offers an entry for a request.
        case register = 1
        /// Hands the reply in an entry over, and offers the entry again.
        case commitAndFetch = 2
    }

    /// `struct fuse_uring_req_header`: what an entry has beside the payload.
    enum RingHeader {
        // At 0: `fuse_in_header`, and `fuse_out_header` in its place.

        /// The operation's own arguments of fixed length.
        static let operation = 128
        static let operationBytesMax = 128
        static let commitIdentifier = 264
        /// Bytes of the payload, of the request and then of the reply.
        static let payloadBytes = 272
        static let byteCount = 288
    }
}
