import CFuse3
import GefsEngine
import Glibc

extension MountSession {
    /// The kernel's requests and who answers them. What is missing the kernel does itself, or does
    /// without.
    static let operations: fuse_lowlevel_ops = {
        var operations = fuse_lowlevel_ops()
        operations.`init` = { data, connection in
            guard let connection, let data else { return }
            Unmanaged<MountSession>.fromOpaque(data).takeUnretainedValue()
                .negotiate(&connection.pointee)
        }
        addLookups(to: &operations)
        addNames(to: &operations)
        addFiles(to: &operations)
        addDirectories(to: &operations)
        addExtendedAttributes(to: &operations)
        addControl(to: &operations)
        return operations
    }()

    /// What of the kernel's offers is taken.
    private func negotiate(_ connection: inout fuse_conn_info) {
        connection.max_write = UInt32(Self.transferBytesMax)
        connection.max_read = UInt32(Self.transferBytesMax)
        connection.max_readahead = UInt32(Self.transferBytesMax)
        connection.max_background = 64
        connection.congestion_threshold = 48
        var wanted = [
            FUSE_CAP_ASYNC_READ, FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_READDIRPLUS,
            FUSE_CAP_READDIRPLUS_AUTO, FUSE_CAP_EXPORT_SUPPORT,
            FUSE_CAP_ASYNC_DIO, FUSE_CAP_CACHE_SYMLINKS, FUSE_CAP_EXPLICIT_INVAL_DATA,
        ]
        if fileSystem.isPosix { wanted += [FUSE_CAP_POSIX_ACL, FUSE_CAP_DONT_MASK] }
        for capability in wanted {
            connection.want |= connection.capable & UInt32(capability)
        }
        // Nobody is told when a file is opened, so neither that it is to be cut then: libfuse wants both.
        for unwanted in [FUSE_CAP_AUTO_INVAL_DATA, FUSE_CAP_ATOMIC_O_TRUNC] {
            connection.want &= ~UInt32(unwanted)
        }
        connection.time_gran = 1
    }
}
