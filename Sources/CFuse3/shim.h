/* libfuse3's low-level interface, of the version that Debian 12 has. */
#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
