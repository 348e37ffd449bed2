/*
 * A library to be preloaded into a server: the image file behaves as a failing disk.
 *
 * GEFS_FAULTS names a file with one line, which is read again whenever it has changed its time:
 *
 *   OPERATION WHAT [ERRNO] [FIRST] [LAST]
 *
 * OPERATION is read, write, flush, all or none; WHAT is fail (with ERRNO), short (a transfer moves
 * half of what it was asked for, in whole sectors), intr (every second call is interrupted) or lose
 * (a write of at least ERRNO bytes is acknowledged and not done). FIRST and LAST are offsets in bytes
 * that a transfer has to touch. GEFS_FAULTS_IMAGE is the path of the image: nothing else is touched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct timespec changed;
static char operation[16] = "none", what[16] = "none";
static int number = EIO;
static unsigned long long first, last = ~0ULL;
static unsigned calls;
static dev_t image_device;
static ino_t image_inode;

static void look(void) {
    const char *plan = getenv("GEFS_FAULTS"), *image = getenv("GEFS_FAULTS_IMAGE");
    struct stat status;
    if (!plan || !image) return;
    if (image_inode == 0 && stat(image, &status) == 0) {
        image_device = status.st_dev;
        image_inode = status.st_ino;
    }
    if (stat(plan, &status) != 0) return;
    if (status.st_mtim.tv_sec == changed.tv_sec && status.st_mtim.tv_nsec == changed.tv_nsec) return;
    changed = status.st_mtim;
    FILE *file = fopen(plan, "re");
    if (!file) return;
    first = 0, last = ~0ULL, number = EIO;
    if (fscanf(file, "%15s %15s %d %llu %llu", operation, what, &number, &first, &last) < 1)
        strcpy(operation, "none");
    fclose(file);
}

enum { go_on, fail, half, lose };

/* What becomes of an operation on a file; sets errno where it fails. */
static int fate(int file, const char *name, off_t offset, size_t count) {
    struct stat status;
    int result = go_on, kept = errno, error = 0;
    pthread_mutex_lock(&lock);
    look();
    if (image_inode != 0 && fstat(file, &status) == 0 && status.st_ino == image_inode
        && status.st_dev == image_device && (!strcmp(operation, name) || !strcmp(operation, "all"))
        && (unsigned long long)offset <= last && (unsigned long long)offset + count > first) {
        if (!strcmp(what, "fail")) result = fail, error = number;
        else if (!strcmp(what, "short")) result = half;
        else if (!strcmp(what, "lose") && count >= (size_t)number) result = lose;
        else if (!strcmp(what, "intr") && ++calls % 2) result = fail, error = EINTR;
    }
    pthread_mutex_unlock(&lock);
    errno = result == fail ? error : kept;
    return result;
}

static size_t half_of(size_t count) {
    size_t part = count / 2 / 512 * 512;
    return part ? part : count;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define TRANSFER(name, word, type, isWrite) \
    ssize_t name(int file, type data, size_t count, off_t offset) { \
        REAL(name); \
        switch (fate(file, word, offset, count)) { \
        case fail: return -1; \
        case half: return real(file, data, half_of(count), offset); \
        case lose: if (isWrite) return count; \
        } \
        return real(file, data, count, offset); \
    }

TRANSFER(pread, "read", void *, 0)
TRANSFER(pread64, "read", void *, 0)
TRANSFER(pwrite, "write", const void *, 1)
TRANSFER(pwrite64, "write", const void *, 1)

static size_t total(const struct iovec *parts, int count) {
    size_t sum = 0;
    for (int index = 0; index < count; index++) sum += parts[index].iov_len;
    return sum;
}

/* A short vectored transfer: the first vector alone, halved where it is the only one. */
#define VECTORED(name, word, single, isWrite) \
    ssize_t name(int file, const struct iovec *parts, int count, off_t offset) { \
        REAL(name); \
        switch (fate(file, word, offset, total(parts, count))) { \
        case fail: return -1; \
        case half: { \
            struct iovec part = parts[0]; \
            part.iov_len = half_of(part.iov_len); \
            return real(file, &part, 1, offset); \
        } \
        case lose: if (isWrite) return total(parts, count); \
        } \
        return real(file, parts, count, offset); \
    }

VECTORED(preadv, "read", pread, 0)
VECTORED(preadv64, "read", pread64, 0)
VECTORED(pwritev, "write", pwrite, 1)
VECTORED(pwritev64, "write", pwrite64, 1)

#define FLUSH(name) \
    int name(int file) { \
        REAL(name); \
        switch (fate(file, "flush", 0, 0x7fffffff)) { \
        case fail: return -1; \
        case lose: return 0; \
        } \
        return real(file); \
    }

FLUSH(fsync)
FLUSH(fdatasync)
