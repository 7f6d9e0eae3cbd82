/*
 * A disk that takes its time: every write at an offset comes 20 ms late. Widens the gap between reading a
 * state and replacing it, which a fast disk hardly ever shows. For LD_PRELOAD.
 */
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) {
    const struct timespec late = {.tv_nsec = 20 * 1000 * 1000};
    nanosleep(&late, NULL);
    return syscall(SYS_pwrite64, file, bytes, size, offset);
}
