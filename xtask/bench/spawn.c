/*
 * Runs a program several times, its output thrown away, and prints `NANOSECONDS KIB` for each time: from fork
 * to its end, and the most memory that was resident:
 *
 *     spawn TIMES PROGRAM [ARGUMENT…]
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long nanoseconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000 + at.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 64;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    for (long times = atol(argv[1]); times > 0; times--) {
        struct rusage usage;
        int status;
        long start = nanoseconds();
        pid_t child = fork();
        if (child == 0) {
            if (dup2(nowhere, 1) == 1)
                execvp(argv[2], argv + 2);
            _exit(127);
        }
        if (child < 0 || wait4(child, &status, 0, &usage) != child || status) {
            fprintf(stderr, "%s failed\n", argv[2]);
            return 70;
        }
        printf("%ld %ld\n", nanoseconds() - start, usage.ru_maxrss);
    }
    return 0;
}
