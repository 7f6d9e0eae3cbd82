/* A caller of the broker that keeps to no rule.
 *
 * broker_caller SOCKET send MICROSECONDS
 *     standard input to the broker, so long between two bytes; then what it says
 * broker_caller SOCKET leave
 *     two frames from standard input: the second once something was heard; then it is gone
 * broker_caller SOCKET flood COUNT
 *     so many connections at once; prints how many it got, and holds them until standard input ends
 * broker_caller SOCKET strangers COUNT
 *     the same as root with a uid of its own for each
 * broker_caller SOCKET crowd FIRST COUNT
 *     as root, so many uids from FIRST on, one connection each, all at once; each sends standard input, and
 *     prints what it hears, in a line
 * broker_caller SOCKET storm UIDS
 *     one connection after the other, as fast as they are taken, until standard input ends, the last 256 of
 *     them held; as the user that runs it, or as root with so many uids in turn; prints how many it got
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int call(const char *path, int flags)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | flags, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

/* A connection that is only waited for where the queue is full. */
static int get(const char *path)
{
    int fd = -1;
    for (int tries = 0; tries < 1000 && (fd = call(path, SOCK_NONBLOCK)) < 0 && errno == EAGAIN; tries++)
        usleep(1000);
    return fd;
}

static int say(const char *path, useconds_t pause)
{
    static char sent[65536], heard[65536];
    ssize_t length = 0, more;
    while ((more = read(0, sent + length, sizeof sent - length)) > 0)
        length += more;
    int fd = call(path, 0);
    if (fd < 0) {
        perror("connect");
        return 1;
    }
    if (pause == 0) {
        if (write(fd, sent, length) < 0)
            perror("write");
    } else {
        for (ssize_t i = 0; i < length && write(fd, sent + i, 1) == 1; i++)
            usleep(pause);
    }
    while ((more = read(fd, heard, sizeof heard)) > 0)
        fwrite(heard, 1, more, stdout);
    puts(more == 0 ? "\nclosed" : "\nreset");
    return 0;
}

static int leave(const char *path)
{
    static char sent[65536], heard[65536];
    ssize_t length = 0, more;
    while ((more = read(0, sent + length, sizeof sent - length)) > 0)
        length += more;
    ssize_t first = 4 + ((unsigned char)sent[2] << 8 | (unsigned char)sent[3]);
    int fd = call(path, 0);
    if (fd < 0 || write(fd, sent, first) != first || read(fd, heard, sizeof heard) <= 0)
        return 1;
    return write(fd, sent + first, length - first) != length - first;
}

/* Connects with so many effective uids, from 200000 on, as somebody with subordinate uids can. */
static int strangers(const char *path, long count)
{
    struct rlimit files = { count + 16, count + 16 };
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        getrlimit(RLIMIT_NOFILE, &files);
    long got = 0;
    for (long i = 0; i < count; i++) {
        if (setresuid(-1, 200000 + i, 0) != 0)
            return 1;
        got += get(path) >= 0;
        if (setresuid(-1, 0, 0) != 0)
            return 1;
    }
    printf("connected=%ld\n", got);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int crowd(const char *path, long first, long count)
{
    static char sent[65536], heard[65536];
    ssize_t length = 0, more;
    int fds[count];
    while ((more = read(0, sent + length, sizeof sent - length)) > 0)
        length += more;
    for (long i = 0; i < count; i++) {
        if (setresuid(-1, first + i, 0) != 0)
            return 1;
        fds[i] = get(path);
        if (setresuid(-1, 0, 0) != 0)
            return 1;
        if (fds[i] < 0 || fcntl(fds[i], F_SETFL, 0) != 0 || write(fds[i], sent, length) < 0)
            perror("connection");
    }
    for (long i = 0; i < count; i++) {
        while (fds[i] >= 0 && (more = read(fds[i], heard, sizeof heard)) > 0)
            fwrite(heard, 1, more, stdout);
        puts("");
    }
    return 0;
}

static int flood(const char *path, long count)
{
    struct rlimit files = { count + 16, count + 16 };
    if (setrlimit(RLIMIT_NOFILE, &files) != 0)
        getrlimit(RLIMIT_NOFILE, &files);
    long got = 0;
    for (long i = 0; i < count; i++)
        got += get(path) >= 0;
    printf("connected=%ld\n", got);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}

static int storm(const char *path, long uids)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    int held[256];
    long got = 0;
    memset(held, -1, sizeof held);
    for (long i = 0; i % 64 != 0 || poll(&input, 1, 0) == 0; i++) {
        if (uids > 0 && setresuid(-1, 200000 + i % uids, 0) != 0)
            return 1;
        int fd = call(path, SOCK_NONBLOCK);
        if (uids > 0 && setresuid(-1, 0, 0) != 0)
            return 1;
        if (fd < 0)
            continue;
        int *place = &held[got++ % 256];
        if (*place >= 0)
            close(*place);
        *place = fd;
    }
    printf("connected=%ld\n", got);
    return 0;
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc == 4 && strcmp(argv[2], "send") == 0)
        return say(argv[1], (useconds_t)atol(argv[3]));
    if (argc == 3 && strcmp(argv[2], "leave") == 0)
        return leave(argv[1]);
    if (argc == 4 && strcmp(argv[2], "strangers") == 0)
        return strangers(argv[1], atol(argv[3]));
    if (argc == 4 && strcmp(argv[2], "flood") == 0)
        return flood(argv[1], atol(argv[3]));
    if (argc == 5 && strcmp(argv[2], "crowd") == 0)
        return crowd(argv[1], atol(argv[3]), atol(argv[4]));
    if (argc == 4 && strcmp(argv[2], "storm") == 0)
        return storm(argv[1], atol(argv[3]));
    fprintf(stderr, "usage: broker_caller SOCKET send MICROSECONDS | leave | flood COUNT | strangers COUNT | crowd FIRST COUNT | storm UIDS\n");
    return 2;
}
