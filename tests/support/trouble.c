/* Preloaded by trouble.py: a disk that refuses to be written or is slow, and a clock that jumps, while a program runs.

   TROUBLE names a file of three 64-bit integers, which is read at each call: the errno with which writing fails (0: it
   does not), how long a flush to the disk takes longer [ms], and how far the wall clock is ahead [s]. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t nothing[3], *trouble = nothing;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("TROUBLE");
    int file = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY) : -1;
    if (file < 0) abort();
    trouble = mmap(NULL, sizeof nothing, PROT_READ, MAP_SHARED, file, 0);
    if (trouble == MAP_FAILED) abort();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int refused(void) {
    if (!trouble[0]) return 0;
    errno = (int)trouble[0];
    return 1;
}

/* Whether this is a file on a disk, and not a pipe, a socket or a terminal. */
static int on_disk(int file) {
    struct stat about;
    return file > 2 && !fstat(file, &about) && S_ISREG(about.st_mode);
}

ssize_t write(int file, const void *from, size_t count) {
    return trouble[0] && on_disk(file) && refused() ? -1 : syscall(SYS_write, file, from, count);
}
ssize_t pwrite(int file, const void *from, size_t count, off_t at) {
    return refused() ? -1 : syscall(SYS_pwrite64, file, from, count, at);
}
ssize_t pwrite64(int file, const void *from, size_t count, off64_t at) { return pwrite(file, from, count, at); }
ssize_t sendfile(int to, int from, off_t *at, size_t count) {
    return trouble[0] && on_disk(to) && refused() ? -1 : syscall(SYS_sendfile, to, from, at, count);
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t count) { return sendfile(to, from, at, count); }
ssize_t copy_file_range(int from, off64_t *begin_at, int to, off64_t *at, size_t count, unsigned how) {
    return refused() ? -1 : syscall(SYS_copy_file_range, from, begin_at, to, at, count, how);
}

static int opened(int folder, const char *path, int how, va_list more) {
    mode_t mode = how & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0;
    if ((how & O_ACCMODE) != O_RDONLY && strncmp(path, "/dev/", 5) && strncmp(path, "/proc/", 6) && refused()) return -1;
    return (int)syscall(SYS_openat, folder, path, how, mode);
}
#define OPEN(name, folder, ...)                                                                                        \
    int name(__VA_ARGS__ const char *path, int how, ...) {                                                             \
        va_list more;                                                                                                  \
        va_start(more, how);                                                                                           \
        int file = opened(folder, path, how, more);                                                                    \
        va_end(more);                                                                                                  \
        return file;                                                                                                   \
    }
#define COMMA ,
OPEN(open, AT_FDCWD, )
OPEN(open64, AT_FDCWD, )
OPEN(openat, folder, int folder COMMA)
OPEN(openat64, folder, int folder COMMA)

int rename(const char *from, const char *to) { return refused() ? -1 : REAL(rename)(from, to); }
int mkdir(const char *path, mode_t mode) { return refused() ? -1 : REAL(mkdir)(path, mode); }
int ftruncate(int file, off_t size) { return refused() ? -1 : (int)syscall(SYS_ftruncate, file, size); }
int ftruncate64(int file, off64_t size) { return ftruncate(file, size); }
int unlink(const char *path) {
    if (trouble[0] == EROFS && refused()) return -1;
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static void dawdle(void) {
    if (trouble[1]) usleep((useconds_t)(trouble[1] * 1000));
}
int fsync(int file) {
    dawdle();
    return trouble[0] && on_disk(file) && refused() ? -1 : (int)syscall(SYS_fsync, file);
}
int fdatasync(int file) {
    dawdle();
    return trouble[0] && on_disk(file) && refused() ? -1 : (int)syscall(SYS_fdatasync, file);
}

int clock_gettime(clockid_t which, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, which, at);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) at->tv_sec += trouble[2];
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

/* A wait until a time of this clock, by the kernel's. A small value is a monotonic time, which is left unchanged. */
static struct timespec by_kernel_clock(const struct timespec *until) {
    int64_t ahead_s = until->tv_sec < 1000000000LL ? 0 : trouble[2];
    return (struct timespec){until->tv_sec - ahead_s, until->tv_nsec};
}
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    struct timespec at = by_kernel_clock(until);
    return ((__typeof__(&pthread_cond_timedwait))dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"))(
        condition, mutex, &at);
}
int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec at = by_kernel_clock(until);
    return REAL(sem_timedwait)(semaphore, &at);
}
