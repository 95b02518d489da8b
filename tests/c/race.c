/* race: two threads and a number without order, which a checker of data races must see. */
#include <pthread.h>
#include <stddef.h>

static int number;

static void *count(void *unused) {
    (void)unused;
    number++;
    return NULL;
}

int main(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, count, NULL) != 0)
        return 1;
    number++;
    return pthread_join(thread, NULL) == 0 ? 0 : 1;
}
