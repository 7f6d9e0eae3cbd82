/*
 * An ordinary user who wants to freeze somebody else's account: starts setuid su again and again, gives it a
 * code, watches /proc/locks until su holds a lock, and stops it there. A stopped su stays stopped.
 *
 * usage: stopper SECONDS TARGET. Prints how often su was seen with a lock, and how often the kernel refused.
 *
 * usage: stopper freeze TARGET [GROUP]. Freezes one su for good while it holds the lock: by the freezer of
 * the control group GROUP, which the caller may write to and is in, or else by SIGSTOP, which takes root.
 * Prints a line when that has worked, then su's pid and the signal that ended it after all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_STOPPED 32

static void put(const char *directory, const char *file, const char *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, file);
    int fd = open(path, O_WRONLY);
    if (fd < 0 || write(fd, text, strlen(text)) < 0) {
        perror(path);
        exit(70);
    }
    close(fd);
}

static pid_t start_su(const char *target, const char *group) {
    int input[2], nowhere = open("/dev/null", O_WRONLY);
    if (pipe(input))
        exit(70);
    pid_t pid = fork();
    if (pid == 0) {
        if (group)
            put(group, "cgroup.procs", "0");
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

static long ms_since(const struct timespec *start) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - start->tv_sec) * 1000 + (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* Until it is seen with a lock; 0 if it took too long. */
static int wait_for_lock(pid_t pid) {
    struct timespec start;
    clock_gettime(CLOCK_MONOTONIC, &start);
    while (ms_since(&start) < 40)
        if (holds_lock(pid))
            return 1;
    return 0;
}

static int freeze(const char *target, const char *parent) {
    char group[4096];
    snprintf(group, sizeof group, "%s/su", parent ? parent : "");
    if (parent && mkdir(group, 0755) && errno != EEXIST) {
        perror(group);
        return 70;
    }
    for (int tries = 0; tries < 20; tries++) {
        int status;
        pid_t pid = start_su(target, parent ? group : NULL);
        if (wait_for_lock(pid)) {
            if (parent)
                put(group, "cgroup.freeze", "1");
            else
                kill(pid, SIGSTOP);
            usleep(200000);
            if (holds_lock(pid)) {
                puts("frozen=1");
                fflush(stdout);
                waitpid(pid, &status, 0);
                printf("pid=%d\nkilled_by=%d\n", pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
                return 0;
            }
            if (parent)
                put(group, "cgroup.freeze", "0");
        }
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    return 1;
}

int main(int argc, char **argv) {
    if (argc >= 3 && !strcmp(argv[1], "freeze"))
        return freeze(argv[2], argc > 3 ? argv[3] : NULL);
    if (argc != 3)
        return 64;
    time_t end = time(NULL) + atoi(argv[1]);
    pid_t stopped[MOST_STOPPED] = {0};
    int seen = 0, refused = 0, next = 0;
    while (time(NULL) < end) {
        pid_t pid = start_su(argv[2], NULL);
        if (wait_for_lock(pid)) {
            seen++;
            if (kill(pid, SIGSTOP) && errno == EPERM)
                refused++;
        } else {
            /* Too late for this one: stop it wherever it is. */
            kill(pid, SIGSTOP);
        }
        pid_t oldest = stopped[next];
        stopped[next] = pid;
        next = (next + 1) % MOST_STOPPED;
        /* One that became root's in every id before the stop arrived can be neither ended nor waited for. */
        if (oldest && kill(oldest, SIGKILL) == 0)
            waitpid(oldest, NULL, 0);
    }
    for (int i = 0; i < MOST_STOPPED; i++)
        if (stopped[i])
            kill(stopped[i], SIGKILL);
    printf("seen=%d\nrefused=%d\n", seen, refused);
    return 0;
}
