/*
 * A clock that breaks for pam_qrtotp.so alone: its COUNT-th reading and all later ones fail, COUNT being what
 * /run/broken_clock says. Rust's standard library panics on that, so the release build of the module panics
 * wherever it reads the time, with nothing for tests in it. Named in /etc/ld.so.preload, which holds for
 * setuid programs too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int readings;

static int breaks_at(void) {
    char text[16] = "";
    int file = open("/run/broken_clock", O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, text, sizeof text - 1) < 0)
        text[0] = 0;
    if (file >= 0)
        close(file);
    return atoi(text);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    Dl_info caller;
    if (dladdr(__builtin_return_address(0), &caller) && caller.dli_fname && strstr(caller.dli_fname, "/pam_qrtotp.so")) {
        int limit = breaks_at();
        if (limit && ++readings >= limit) {
            errno = EINVAL;
            return -1;
        }
    }
    return syscall(SYS_clock_gettime, clock, time);
}
