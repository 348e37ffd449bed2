// Many sends in one system call.
#ifndef CSEND_H
#define CSEND_H

#include <stdint.h>

typedef struct csend csend;

/// What one socket is to be sent.
struct csend_part {
    int32_t descriptor;
    /// Bytes that the socket took, or a negative error number.
    int32_t sent;
    const void *bytes;
    uint32_t byte_count;
};

/// Room for so many sends at once. One thread uses it at a time. NULL with errno set where the system does not have it, or not
/// for everybody.
csend *csend_open(uint32_t parts_max);

void csend_close(csend *sends);

/// Gives each socket what it takes at once; none is waited for. 0, or a negative error number: no more can be sent this way then,
/// and what was not sent has a `sent` of 0.
int csend_all(csend *sends, struct csend_part *parts, uint32_t part_count);

#endif
