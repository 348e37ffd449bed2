/* libfuse3's low-level interface, of the version that Debian 12 has, and the kernel's own, which it wraps. */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
