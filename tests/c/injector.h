/* Makes a chosen allocation or read of this program fail, the library's included. */
#ifndef INJECTOR_H
#define INJECTOR_H

#include <stddef.h>

/* Allocation number n from now on (the next is 0) fails, and with `all_after` all later ones. */
void fail_allocation(long n, int all_after);
/* What is allocated may grow by `bytes`; allocations beyond that fail. */
void limit_memory(size_t bytes);
/* Ends both; returns the number of allocations that failed since. */
long allocations_failed(void);
/* Bytes asked for by the last allocation that failed; in memory that child processes share. */
size_t *last_failed_size(void);
/* Blocks that are allocated now. */
long live_blocks(void);

enum read_fault {
    READ_ERROR,       /* EIO */
    READ_INTERRUPTED, /* EINTR, once */
    READ_SHORT,       /* half of what was asked for */
    READ_END          /* nothing: the end of the file */
};

/* Read number n of a file from now on fails in this way. */
void fail_read(long n, enum read_fault how);
/* Ends that; returns 1 if there was such a read. */
int read_failed(void);

#endif
