#define _GNU_SOURCE
#include "CPlatform.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifdef __GLIBC__
#include <malloc.h>

void cplatform_keep_large_buffers(void) {
    // Reply and receive buffers are up to 2 MiB; blocks have a pool of their own.
    mallopt(M_MMAP_THRESHOLD, 16 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

uint64_t cplatform_idle_heap_bytes(void) {
#if __GLIBC_PREREQ(2, 33)
    return mallinfo2().fordblks;
#else
    return 0;
#endif
}

void cplatform_give_back_heap(void) { (void)malloc_trim(0); }
#else
void cplatform_keep_large_buffers(void) {}
uint64_t cplatform_idle_heap_bytes(void) { return 0; }
void cplatform_give_back_heap(void) {}
#endif

#ifdef __linux__
#include <linux/fs.h>

void cplatform_start_writeback(int descriptor, int64_t offset, int64_t byte_count) {
    (void)sync_file_range(descriptor, offset, byte_count, SYNC_FILE_RANGE_WRITE);
}

int64_t cplatform_block_device_bytes(int descriptor) {
    uint64_t bytes = 0;
    if (ioctl(descriptor, BLKGETSIZE64, &bytes) != 0) return -1;
    return (int64_t)bytes;
}

int cplatform_peer_credentials(int descriptor, uint32_t *uid, uint32_t *gid) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int64_t cplatform_set_attribute(
    int descriptor, const char *name, const void *value, uint64_t byte_count) {
    return fsetxattr(descriptor, name, value, byte_count, 0);
}

int64_t cplatform_attribute(const char *path, const char *name, void *value, uint64_t byte_count) {
    return lgetxattr(path, name, value, byte_count);
}

int64_t cplatform_attribute_names(const char *path, void *names, uint64_t byte_count) {
    return llistxattr(path, names, byte_count);
}
#else
#include <sys/disk.h>

int64_t cplatform_set_attribute(
    int descriptor, const char *name, const void *value, uint64_t byte_count) {
    return fsetxattr(descriptor, name, value, byte_count, 0, 0);
}

int64_t cplatform_attribute(const char *path, const char *name, void *value, uint64_t byte_count) {
    return getxattr(path, name, value, byte_count, 0, XATTR_NOFOLLOW);
}

int64_t cplatform_attribute_names(const char *path, void *names, uint64_t byte_count) {
    return listxattr(path, names, byte_count, XATTR_NOFOLLOW);
}

void cplatform_start_writeback(int descriptor, int64_t offset, int64_t byte_count) {
    (void)descriptor;
    (void)offset;
    (void)byte_count;
}

int64_t cplatform_block_device_bytes(int descriptor) {
    uint32_t size = 0;
    uint64_t count = 0;
    if (ioctl(descriptor, DKIOCGETBLOCKSIZE, &size) != 0) return -1;
    if (ioctl(descriptor, DKIOCGETBLOCKCOUNT, &count) != 0) return -1;
    return (int64_t)(count * size);
}

int cplatform_peer_credentials(int descriptor, uint32_t *uid, uint32_t *gid) {
    uid_t peerUser;
    gid_t peerGroup;
    if (getpeereid(descriptor, &peerUser, &peerGroup) != 0) return -1;
    *uid = peerUser;
    *gid = peerGroup;
    return 0;
}
#endif

int cplatform_spawn_in_directory(void *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}
