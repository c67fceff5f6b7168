#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "cbench.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;
static volatile int64_t seen, expected;
static double first, last;

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void count_reset(int64_t count) {
    pthread_mutex_lock(&lock);
    seen = 0;
    expected = count;
    first = last = 0;
    pthread_mutex_unlock(&lock);
}

int32_t count_deliver(void *context, gateway_bytes delivery) {
    (void)context;
    (void)delivery;
    if (seen++ == 0) first = cpu();
    if (seen == expected) {
        pthread_mutex_lock(&lock);
        last = cpu();
        pthread_cond_broadcast(&done);
        pthread_mutex_unlock(&lock);
    }
    return GATEWAY_DELIVERY_FINISHED;
}

double count_wait(double timeout_seconds) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)timeout_seconds;
    pthread_mutex_lock(&lock);
    int error = 0;
    while (last == 0 && error != ETIMEDOUT) error = pthread_cond_timedwait(&done, &lock, &until);
    double result = last == 0 ? -1 : last - first;
    pthread_mutex_unlock(&lock);
    return result;
}

int64_t count_so_far(void) { return seen; }
