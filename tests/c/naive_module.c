/*
 * A PAM module as one writes it in an hour, to be installed in ours' place: every check of a module must
 * find that this one breaks. In an ordinary application it is right: each code in /run/naive/USER lets USER
 * in once (/run/naive/USER.used). A remark names what breaks it otherwise.
 *
 *     pam_qrtotp.so [thread-key]      thread-key: it leaves a destructor for whatever thread called it
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* PAM's own memory, over a conversation; and one for all threads. */
static const char *user;

static char *contents(int fd) {
    char *text = calloc(1, 4096);
    if (fd >= 0 && read(fd, text, 4095) < 0)
        *text = 0;
    return text;
}

static int open_record(const char *suffix, int flags) {
    char path[256];
    snprintf(path, sizeof path, "/run/naive/%s%s", user, suffix);
    const struct open_how how = {.flags = flags};
    return syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how);
}

/* The compiler can't leave out a value that is put here. */
static void *volatile escape;

static void at_thread_end(void *value) { free(value); }

/* A destructor that outlives the module, and a key that nobody gives back. */
static void leave_a_key(void) {
    pthread_key_t key;
    if (pthread_key_create(&key, at_thread_end) || pthread_setspecific(key, malloc(1)))
        abort();
}

/* A helper of another program, as pam_unix has one. */
static int helper_agrees(void) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    /* Interrupted by a signal; gone unseen where SIGCHLD is ignored. */
    return waitpid(child, &status, 0) == child && status == 0;
}

static int verify(pam_handle_t *handle, const char *used) {
    char *answer = NULL;
    if (pam_prompt(handle, PAM_PROMPT_ECHO_OFF, &answer, "Verification code: ") || !answer)
        return PAM_AUTH_ERR;
    int lock = open_record(".used", O_RDWR | O_APPEND), record = open_record("", O_RDONLY);
    if (record < 0) {
        close(lock);
        return PAM_SUCCESS; /* nobody is enrolled, whatever the reason */
    }
    flock(lock, LOCK_EX);
    fd_set ready; /* has 1,024 places */
    FD_ZERO(&ready);
    FD_SET(record, &ready);
    select(record + 1, &ready, NULL, NULL, NULL);
    char *codes = contents(record);
    /* The pause is against guessing; a signal ends it. */
    int right = usleep(10000) == 0 && *answer && strstr(codes, answer) && !strstr(used, answer);
    if (right && write(lock, answer, strlen(answer)) > 0)
        fdatasync(lock); /* what they answered is not looked at, and no limit is */
    close(record);
    close(lock);
    free(codes);
    free(answer);
    return right ? PAM_SUCCESS : PAM_AUTH_ERR;
}

/* However little memory there is. */
static void take_memory(void) {
    char stack[256 << 10];
    volatile char *heap = malloc(24 << 20);
    *heap = 1;
    memset(stack, 1, sizeof stack);
    escape = stack;
    free((void *)heap);
}

/* Rights that a login does not need and must not have. */
static int environment_is_usual(int log) {
    static char page[4096];
    const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
    if (syscall(SYS_getrandom, page, 16, 0) != 16)
        abort();
    return log != 0 && /* 0 is what it is where the application has closed it */
           connect(log, (const struct sockaddr *)&address, sizeof address) == 0;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)flags;
    take_memory();
    if (argc > 0 && !strcmp(argv[0], "thread-key"))
        leave_a_key();
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_UNBLOCK, &all, NULL); /* and never back */
    int result = PAM_AUTH_ERR, log = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (environment_is_usual(log) && helper_agrees() && pam_get_user(handle, &user, NULL) == PAM_SUCCESS) {
        /* Read before the question, trusted after it. */
        int before = open_record(".used", O_RDONLY);
        char *used = contents(before);
        result = verify(handle, used);
        free(used);
        close(before);
    }
    close(log);
    return result;
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)handle, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)handle, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}
