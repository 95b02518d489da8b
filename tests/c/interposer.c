/* Stands before libc: the program that links this file exports these functions, so that a library
   that it opens calls them instead of libc's. Made without libc's headers, because the
   functions here take any arguments: all of theirs are numbers and pointers. */
#include "interposer.h"

#include <stddef.h>

#define RTLD_NEXT ((void *)-1l)
void *dlsym(void *handle, const char *name);
int printf(const char *format, ...);
int strcmp(const char *a, const char *b);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void __libc_free(void *memory);
void *__libc_memalign(size_t alignment, size_t size);

volatile enum watch interposer_watch;

/* What a library that prints, reads the environment, starts threads, installs handlers or talks to
   the network would call. */
#define NOT_SILENT(X)                                                                                  \
    X(getenv) X(secure_getenv) X(setenv) X(pthread_create) X(sigaction) X(signal) X(write) X(writev)   \
    X(pwrite64) X(puts) X(fputs) X(fwrite) X(vfprintf) X(socket) X(connect) X(sendto)

/* Besides these and the allocator: locks, system calls, files, memory maps, clocks, thread-local memory. */
#define NOT_REAL_TIME(X)                                                                               \
    X(pthread_mutex_lock) X(pthread_mutex_trylock) X(pthread_mutex_unlock) X(pthread_rwlock_rdlock)    \
    X(pthread_rwlock_wrlock) X(pthread_cond_wait) X(pthread_cond_timedwait) X(pthread_cond_signal)     \
    X(pthread_cond_broadcast) X(pthread_once) X(sem_wait) X(sem_post) X(syscall) X(open) X(open64)     \
    X(openat) X(openat64) X(close) X(read) X(pread) X(pread64) X(lseek64) X(mmap) X(mmap64) X(munmap)  \
    X(mremap) X(madvise) X(mprotect) X(sbrk) X(nanosleep) X(clock_nanosleep) X(usleep) X(sched_yield)  \
    X(clock_gettime) X(gettimeofday) X(pthread_getspecific) X(pthread_setspecific)                     \
    X(pthread_key_create) X(__cxa_thread_atexit_impl) X(__tls_get_addr) X(dlopen) X(dl_iterate_phdr)

#define ALLOCATOR(X) X(malloc) X(calloc) X(realloc) X(free) X(posix_memalign) X(aligned_alloc) X(memalign)

#define INDEX(name) AT_##name,
enum { NOT_SILENT(INDEX) NOT_REAL_TIME(INDEX) ALLOCATOR(INDEX) COUNT };

#define ONE(name) +1
enum { SILENCE_COUNT = 0 NOT_SILENT(ONE) }; /* the first of them */

#define NAME(name) [AT_##name] = #name,
static const char *const names[COUNT] = {NOT_SILENT(NAME) NOT_REAL_TIME(NAME) ALLOCATOR(NAME)};
static int calls[COUNT];

static void count(int at) {
    if (interposer_watch == WATCH_REAL_TIME || (interposer_watch == WATCH_SILENCE && at < SILENCE_COUNT))
        __atomic_fetch_add(&calls[at], 1, __ATOMIC_RELAXED);
}

#define FORWARD(name)                                                                   \
    long name(long a, long b, long c, long d, long e, long f, long g) {                 \
        static long (*next)(long, long, long, long, long, long, long);                  \
        count(AT_##name);                                                               \
        if (!next)                                                                      \
            *(void **)&next = dlsym(RTLD_NEXT, #name);                                  \
        return next(a, b, c, d, e, f, g);                                               \
    }

NOT_SILENT(FORWARD)
NOT_REAL_TIME(FORWARD)

void *malloc(size_t size) {
    count(AT_malloc);
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size) {
    count(AT_calloc);
    return __libc_calloc(n, size);
}

void *realloc(void *memory, size_t size) {
    count(AT_realloc);
    return __libc_realloc(memory, size);
}

void free(void *memory) {
    count(AT_free);
    __libc_free(memory);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    count(AT_posix_memalign);
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : 12; /* ENOMEM */
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(AT_aligned_alloc);
    return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    count(AT_memalign);
    return __libc_memalign(alignment, size);
}

int interposer_report(const char *title, int print) {
    int total = 0;
    for (int at = 0; at < COUNT; at++) {
        if (calls[at] && print)
            printf("%s: %s called %d times\n", title, names[at], calls[at]);
        total += calls[at];
    }
    return total;
}

int interposer_calls(const char *name) {
    for (int at = 0; at < COUNT; at++)
        if (strcmp(names[at], name) == 0)
            return calls[at];
    return -1;
}
