/*
 * The honest floor: what any correct module for one-time codes must do, and no more. It reads a configuration
 * that only root may change, looks up the account, opens its record, and under a lock compares the code with
 * every step of the window, refuses a second use, counts failures and makes them wait, writes in place and
 * syncs; then it logs one line and answers. It has no enrolment, no recovery codes, one device per account,
 * and keys in the clear.
 *
 *     honest_module.so FILE
 *
 * FILE: lines `directory PATH`, `window STEPS`, `free_failures NUMBER` and `max_wait SECONDS`; a `#` begins a
 * remark. A record is the file of the user's name in that directory, 4,096 bytes that begin with `struct
 * record`.
 */
#include "totp.h"
#include <fcntl.h>
#include <pwd.h>
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

struct __attribute__((packed)) record {
    uint32_t uid;
    uint8_t key[KEY];
    struct __attribute__((packed)) state {
        uint64_t step, failures, last_failure;
    } state;
};

struct settings {
    char directory[128];
    unsigned window, free_failures, max_wait;
};

/* A file of root's that nobody else may write to; -1 if it is not. */
static int open_trusted(const char *path, int flags) {
    struct stat status;
    int file = open(path, flags | O_NOFOLLOW | O_CLOEXEC);
    if (file >= 0 && (fstat(file, &status) || !S_ISREG(status.st_mode) || status.st_uid || status.st_mode & 022)) {
        close(file);
        return -1;
    }
    return file;
}

static int read_settings(const char *path, struct settings *settings) {
    char text[4096];
    int file = open_trusted(path, O_RDONLY);
    ssize_t length = file < 0 ? -1 : read(file, text, sizeof text - 1);
    close(file);
    if (length < 0)
        return -1;
    text[length] = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")))
        if (*line && *line != '#' && sscanf(line, "directory %127s", settings->directory) != 1 &&
            sscanf(line, "window %u", &settings->window) != 1 &&
            sscanf(line, "free_failures %u", &settings->free_failures) != 1 &&
            sscanf(line, "max_wait %u", &settings->max_wait) != 1)
            return -1;
    return settings->directory[0] && settings->window <= 10 ? 0 : -1;
}

/* The step of the code, or 0. Computes every step of the window, so timing does not tell which it was. */
static uint64_t step_of(const uint8_t key[KEY], const char *answer, uint64_t now, unsigned window) {
    char *end;
    unsigned long code = strtoul(answer, &end, 10);
    uint64_t found = 0;
    for (uint64_t step = now - window; step <= now; step++)
        if (code_of(key, step) == code)
            found = step;
    return strlen(answer) == 6 && !*end ? found : 0;
}

static int must_wait(const struct state *state, const struct settings *settings, uint64_t now) {
    if (state->failures <= settings->free_failures)
        return 0;
    uint64_t over = state->failures - settings->free_failures - 1;
    uint64_t wait = over < 6 ? 1u << over : 60;
    return now < state->last_failure + (wait < settings->max_wait ? wait : settings->max_wait);
}

/* The log's line about the decision. */
static const char *judge(int file, uid_t uid, const char *answer, const struct settings *settings, int *code) {
    struct record record;
    if (flock(file, LOCK_EX) || pread(file, &record, sizeof record, 0) != sizeof record || record.uid != uid)
        return "record_unreadable";
    uint64_t now = time(NULL);
    if (must_wait(&record.state, settings, now))
        return "throttled";
    uint64_t step = step_of(record.key, answer, now / 30, settings->window);
    explicit_bzero(record.key, KEY);
    int accepted = step > record.state.step;
    if (accepted)
        record.state = (struct state){.step = step};
    else
        record.state.failures++, record.state.last_failure = now;
    ssize_t size = sizeof record.state;
    if (pwrite(file, &record.state, size, offsetof(struct record, state)) != size || fdatasync(file))
        return "not_durable";
    *code = accepted ? PAM_SUCCESS : PAM_AUTH_ERR;
    return accepted ? "code" : step ? "used_code" : "wrong_code";
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)flags;
    struct settings settings = {.window = 1, .free_failures = 5, .max_wait = 30};
    const char *user, *reason = "unknown_user";
    const void *rhost = NULL;
    char *answer = NULL, path[256];
    int code = PAM_AUTH_ERR;
    if (argc != 1 || read_settings(argv[0], &settings)) {
        pam_syslog(handle, LOG_ERR, "the configuration can't be read");
        return PAM_AUTH_ERR;
    }
    if (pam_get_user(handle, &user, NULL) != PAM_SUCCESS ||
        pam_prompt(handle, PAM_PROMPT_ECHO_OFF, &answer, "Code: ") != PAM_SUCCESS || !answer)
        return PAM_AUTH_ERR;
    const struct passwd *account = getpwnam(user);
    if (account) {
        snprintf(path, sizeof path, "%s/%s", settings.directory, account->pw_name);
        int file = open_trusted(path, O_RDWR);
        reason = file < 0 ? "not_enrolled" : judge(file, account->pw_uid, answer, &settings, &code);
        close(file);
    }
    pam_get_item(handle, PAM_RHOST, &rhost);
    pam_syslog(handle, LOG_NOTICE, "event=login result=%s reason=%s user=%s rhost=%s",
               code == PAM_SUCCESS ? "accepted" : "denied", reason, account ? account->pw_name : "?",
               rhost ? (const char *)rhost : "");
    explicit_bzero(answer, strlen(answer));
    free(answer);
    return code;
}

int pam_sm_setcred(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)handle, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}
