#define _GNU_SOURCE
#include "cring.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct cring {
    struct io_uring ring;
    int device;
    // The kernel knows the device by its place in the ring's own table, which is 0.
    bool is_registered;
};

// The kernel's struct fuse_uring_cmd_req (include/uapi/linux/fuse.h, 7.42).
struct command {
    uint64_t flags;
    uint64_t commit_identifier;
    uint16_t queue;
    uint8_t padding[6];
};

enum {
    ENTRIES = 4,
    // Where a submission has the command's own bytes; there are 80 of them with IORING_SETUP_SQE128.
    COMMAND_OFFSET = 48,
    SUBMISSION_BYTES = 128,
};

cring *cring_open(void) {
    cring *ring = calloc(1, sizeof *ring);
    if (!ring) return NULL;
    struct io_uring_params parameters = {
        // Completions are worked on where they are waited for: no thread of the kernel's interrupts this one.
        .flags = IORING_SETUP_SQE128 | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    int result = io_uring_queue_init_params(ENTRIES, &ring->ring, &parameters);
    if (result < 0) {
        free(ring);
        errno = -result;
        return NULL;
    }
    // A process with threads pays for each descriptor that a call names. Where this fails, it goes on paying.
    (void)io_uring_register_ring_fd(&ring->ring);
    return ring;
}

void cring_use_device(cring *ring, int device) {
    ring->device = device;
    ring->is_registered = io_uring_register_files(&ring->ring, &device, 1) == 0;
}

void cring_close(cring *ring) {
    io_uring_queue_exit(&ring->ring);
    free(ring);
}

// There is always room: no more than two submissions are made between two waits.
static struct io_uring_sqe *submission(cring *ring, enum cring_event event) {
    struct io_uring_sqe *entry = io_uring_get_sqe(&ring->ring);
    if (!entry) abort();
    memset((void *)entry, 0, SUBMISSION_BYTES);
    entry->user_data = event;
    return entry;
}

void cring_watch(cring *ring, int descriptor) {
    struct io_uring_sqe *entry = submission(ring, CRING_READABLE);
    io_uring_prep_poll_add(entry, descriptor, POLLIN);
    entry->user_data = CRING_READABLE;
}

void cring_command(cring *ring, uint32_t operation, uint16_t queue, uint64_t commit_identifier,
                   const struct iovec *parts, uint32_t part_count) {
    struct io_uring_sqe *entry = submission(ring, CRING_COMMAND);
    entry->opcode = IORING_OP_URING_CMD;
    entry->fd = ring->is_registered ? 0 : ring->device;
    entry->flags = ring->is_registered ? IOSQE_FIXED_FILE : 0;
    entry->cmd_op = operation;
    entry->addr = (uint64_t)(uintptr_t)parts;
    entry->len = part_count;
    struct command command = {.commit_identifier = commit_identifier, .queue = queue};
    memcpy((char *)entry + COMMAND_OFFSET, &command, sizeof command);
}

int cring_submit(cring *ring) {
    int result = io_uring_submit(&ring->ring);
    return result < 0 ? result : 0;
}

int cring_next(cring *ring, int32_t *result) {
    struct io_uring_cqe *completion;
    if (io_uring_peek_cqe(&ring->ring, &completion) || !completion) return 0;
    int event = (int)completion->user_data;
    *result = completion->res;
    io_uring_cqe_seen(&ring->ring, completion);
    return event;
}

int cring_wait(cring *ring, int32_t *result) {
    for (;;) {
        int waited = io_uring_submit_and_wait(&ring->ring, 1);
        if (waited < 0 && waited != -EINTR && waited != -EAGAIN) return waited;
        int event = cring_next(ring, result);
        if (event) return event;
    }
}

int cring_bind_thread(uint32_t processor) {
    cpu_set_t *set = CPU_ALLOC(processor + 1);
    if (!set) return -ENOMEM;
    size_t bytes = CPU_ALLOC_SIZE(processor + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S(processor, bytes, set);
    int result = sched_setaffinity(0, bytes, set) ? -errno : 0;
    CPU_FREE(set);
    return result;
}
