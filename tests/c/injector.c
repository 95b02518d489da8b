/* The program that links this file has its own allocator and its own reads, which libraries use as well. */
#define _GNU_SOURCE
#include "injector.h"

#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
void *__libc_memalign(size_t alignment, size_t size);

static enum { NOTHING, ONE, FROM, BEYOND } rule;
static long next, chosen, failed, blocks;
static size_t bytes, limit;

static int fails(size_t size) {
    const long number = next++;
    const int fail = (rule == ONE && number == chosen) || (rule == FROM && number >= chosen)
                     || (rule == BEYOND && (size > limit || bytes > limit - size));
    if (fail) {
        failed++;
        *last_failed_size() = size;
        errno = ENOMEM;
    }
    return fail;
}

static void *given(void *memory) {
    if (memory) {
        blocks++;
        bytes += malloc_usable_size(memory);
    }
    return memory;
}

static void taken(void *memory) {
    if (memory) {
        blocks--;
        bytes -= malloc_usable_size(memory);
    }
}

void *malloc(size_t size) { return fails(size) ? NULL : given(__libc_malloc(size)); }

void *calloc(size_t count, size_t size) {
    return fails(count * size) ? NULL : given(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size) {
    const size_t before = memory ? malloc_usable_size(memory) : 0;
    if (size > before && fails(size)) /* old and new may exist side by side */
        return NULL;
    void *moved = __libc_realloc(memory, size);
    if (moved) {
        blocks += memory == NULL;
        bytes += malloc_usable_size(moved) - before;
    }
    return moved;
}

void *aligned_alloc(size_t alignment, size_t size) {
    return fails(size) ? NULL : given(__libc_memalign(alignment, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    void *block = aligned_alloc(alignment, size);
    if (!block)
        return ENOMEM;
    *memory = block;
    return 0;
}

void free(void *memory) {
    taken(memory);
    __libc_free(memory);
}

static void arm(long n, size_t room) {
    next = failed = 0;
    chosen = n;
    limit = room < SIZE_MAX - bytes ? bytes + room : SIZE_MAX;
}

void fail_allocation(long n, int all_after) {
    arm(n, 0);
    rule = all_after ? FROM : ONE;
}

void limit_memory(size_t room) {
    arm(0, room);
    rule = BEYOND;
}

long allocations_failed(void) {
    rule = NOTHING;
    return failed;
}

size_t *last_failed_size(void) {
    static size_t *shared;
    if (!shared)
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared;
}

long live_blocks(void) { return blocks; }

static long next_read, chosen_read = -1;
static enum read_fault read_fault;

void fail_read(long n, enum read_fault how) {
    next_read = 0;
    chosen_read = n;
    read_fault = how;
}

int read_failed(void) {
    const int there_was = chosen_read >= 0 && next_read > chosen_read;
    chosen_read = -1;
    return there_was;
}

/* What becomes of a read of `len` bytes: how many are read, or -1 for an error. */
static ssize_t allowed(size_t len) {
    if (next_read++ != chosen_read)
        return (ssize_t)len;
    switch (read_fault) {
    case READ_SHORT:
        return (ssize_t)(len + 1) / 2;
    case READ_END:
        return 0;
    default:
        errno = read_fault == READ_INTERRUPTED ? EINTR : EIO;
        return -1;
    }
}

ssize_t read(int file, void *to, size_t len) {
    const ssize_t now = allowed(len);
    return now <= 0 ? now : syscall(SYS_read, file, to, now);
}

ssize_t pread64(int file, void *to, size_t len, off64_t offset) {
    const ssize_t now = allowed(len);
    return now <= 0 ? now : syscall(SYS_pread64, file, to, now, offset);
}
