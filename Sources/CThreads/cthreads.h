/* What Swift does not see of a thread: its name, which is a GNU extension. */
#ifndef CTHREADS_H
#define CTHREADS_H

#include <sys/prctl.h>

/* Names the calling thread; the kernel shows at most 15 bytes. */
static inline void cthreads_name(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

#endif
