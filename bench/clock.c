/* Preloaded by bench/clock.py: another clock on the wall, which may run faster than it is.

   PRELOADED_CLOCK="SPEED REAL FAKE": at REAL [s since 1970] it shows FAKE, and from then on runs SPEED times as fast.
   What waits goes by the monotonic clock, which stays as it is. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long long speed = 1, real_s, fake_s;

__attribute__((constructor)) static void wind(void) {
    const char *said = getenv("PRELOADED_CLOCK");
    if (said == NULL || sscanf(said, "%lld %lld %lld", &speed, &real_s, &fake_s) != 3) abort();
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
