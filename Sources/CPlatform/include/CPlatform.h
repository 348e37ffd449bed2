// The few system interfaces that Swift's overlays do not show.
#ifndef CPLATFORM_H
#define CPLATFORM_H

#include <stdint.h>
#include <sys/types.h>

/// Length in bytes of the block device open as `descriptor`, or -1 with errno set.
int64_t cplatform_block_device_bytes(int descriptor);

/// Peer of a connected unix socket; 0, or -1 with errno set.
int cplatform_peer_credentials(int descriptor, uint32_t *uid, uint32_t *gid);

/// Lets the allocator keep the memory of large buffers that come and go, instead of giving it back
/// to the system and taking it again page by page. For the start of a server; no effect elsewhere.
void cplatform_keep_large_buffers(void);

/// Bytes that the allocator has and nobody uses, given back or not; 0 where it does not tell. Takes the allocator's locks and
/// as long as there are free pieces: for times when nothing goes on.
uint64_t cplatform_idle_heap_bytes(void);

/// Gives the pages of those bytes back to the system.
void cplatform_give_back_heap(void);

/// Asks the system to begin writing a range of a file to its device, without waiting; a hint.
void cplatform_start_writeback(int descriptor, int64_t offset, int64_t byte_count);

/// Lets a process that is to be spawned begin in a directory; an error number, or 0. `actions` is a
/// `posix_spawn_file_actions_t *`.
int cplatform_spawn_in_directory(void *actions, const char *directory);

/// Extended attributes of an open file, and of a path itself where it is a link, as the host has
/// them: values and names with a NUL behind each. A count, or -1 with errno set; 0 bytes of room ask
/// for the count. Hosts without them fail with ENOTSUP.
int64_t cplatform_set_attribute(
    int descriptor, const char *name, const void *value, uint64_t byte_count);
int64_t cplatform_attribute(const char *path, const char *name, void *value, uint64_t byte_count);
int64_t cplatform_attribute_names(const char *path, void *names, uint64_t byte_count);

#endif
