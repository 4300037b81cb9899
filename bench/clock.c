/* Preloaded by bench/clock.py: replaces the wall clock by another one, which may run faster.

   PRELOADED_CLOCK="SPEED REAL FAKE": at REAL [s since 1970] it shows FAKE, and from then on it runs SPEED times as fast.
   The monotonic clock, which most waits use, is unchanged. A wait until a wall-clock time is converted to the kernel's
   clock. Otherwise it would return at once, and Chromium's crash handler and Java would spin. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long speed = 1, real_s, fake_s;

__attribute__((constructor)) static void wind(void) {
    const char *setting = getenv("PRELOADED_CLOCK");
    if (setting == NULL || sscanf(setting, "%lld %lld %lld", &speed, &real_s, &fake_s) != 3) abort();
}

int clock_gettime(clockid_t which, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, which, at);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) {
        long long passed_ns = (((long long)at->tv_sec - real_s) * 1000000000LL + at->tv_nsec) * speed;
        at->tv_sec = fake_s + passed_ns / 1000000000LL;
        at->tv_nsec = passed_ns % 1000000000LL;
    }
    return failed;
}

/* Convert a time to the kernel's clock. A small value is a monotonic time (since boot), which is left unchanged. */
static struct timespec by_kernel_clock(const struct timespec *until) {
    if (until->tv_sec < 1000000000LL) return *until;
    long long left_ns = (((long long)until->tv_sec - fake_s) * 1000000000LL + until->tv_nsec) / speed;
    long long at_ns = real_s * 1000000000LL + left_ns;
    return (struct timespec){at_ns / 1000000000LL, at_ns % 1000000000LL};
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    static int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (wait == NULL) wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (wait == NULL) wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec at = by_kernel_clock(until);
    return wait(condition, mutex, &at);
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    static int (*wait)(sem_t *, const struct timespec *);
    if (wait == NULL) wait = dlsym(RTLD_NEXT, "sem_timedwait");
    struct timespec at = by_kernel_clock(until);
    return wait(semaphore, &at);
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    int failed = clock_gettime(CLOCK_REALTIME, &now);
    (void)zone;
    if (!failed) *at = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL) *at = now.tv_sec;
    return now.tv_sec;
}
