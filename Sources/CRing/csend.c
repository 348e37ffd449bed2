#include "csend.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/socket.h>

struct csend {
    struct io_uring ring;
};

csend *csend_open(uint32_t parts_max) {
    csend *sends = malloc(sizeof *sends);
    if (!sends) return NULL;
    int result = io_uring_queue_init(parts_max, &sends->ring, 0);
    if (result < 0) {
        free(sends);
        errno = -result;
        return NULL;
    }
    return sends;
}

void csend_close(csend *sends) {
    io_uring_queue_exit(&sends->ring);
    free(sends);
}

int csend_all(csend *sends, struct csend_part *parts, uint32_t part_count) {
    for (uint32_t i = 0; i < part_count; i++) {
        parts[i].sent = 0;
        struct io_uring_sqe *entry = io_uring_get_sqe(&sends->ring);
        if (!entry) return -EOVERFLOW;
        // MSG_DONTWAIT: a full socket is an error here, and not a send that goes on after this call.
        io_uring_prep_send(entry, parts[i].descriptor, parts[i].bytes, parts[i].byte_count, MSG_DONTWAIT | MSG_NOSIGNAL);
        io_uring_sqe_set_data64(entry, i);
    }
    for (uint32_t done = 0; done < part_count;) {
        int result = io_uring_submit_and_wait(&sends->ring, part_count - done);
        if (result < 0 && result != -EINTR) return result;
        struct io_uring_cqe *completion;
        unsigned head, seen = 0;
        io_uring_for_each_cqe(&sends->ring, head, completion) {
            parts[io_uring_cqe_get_data64(completion)].sent = completion->res;
            seen++;
        }
        io_uring_cq_advance(&sends->ring, seen);
        done += seen;
    }
    return 0;
}
