// A ring of liburing's that carries commands for a FUSE connection. liburing's own header does not bear to be seen beside
// Glibc's from Swift, nor does csend.h show it.
#ifndef CRING_H
#define CRING_H

#include <stdint.h>
#include <sys/uio.h>

typedef struct cring cring;

/// Makes a ring for the calling thread, which alone may use it. NULL with errno set.
cring *cring_open(void);

void cring_close(cring *ring);

/// What a completion is about.
enum cring_event { CRING_COMMAND = 1, CRING_READABLE = 2 };

/// Asks for `CRING_READABLE` as soon as the descriptor can be read from.
void cring_watch(cring *ring, int descriptor);

/// From now on commands are for the FUSE connection that is open as `device`. To be called once.
void cring_use_device(cring *ring, int device);

/// Prepares a command for the device: `operation` on the queue with that number. What it takes of `parts` it takes when it is
/// submitted. One command is on its way at a time.
void cring_command(cring *ring, uint32_t operation, uint16_t queue, uint64_t commit_identifier, const struct iovec *parts,
                   uint32_t part_count);

/// Hands over what is prepared. 0, or a negative error number.
int cring_submit(cring *ring);

/// Hands over what is prepared and waits for a completion. The event, with its result in `result`; or a negative error number.
int cring_wait(cring *ring, int32_t *result);

/// The next completion that is there: the event, or 0 where there is none.
int cring_next(cring *ring, int32_t *result);

/// From now on the calling thread runs on that processor only. 0, or a negative error number.
int cring_bind_thread(uint32_t processor);

#endif
