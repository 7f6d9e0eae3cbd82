/*
 * The least durable work of a login, as a module: ask, open, lock, read, one HMAC-SHA1, write in place,
 * fdatasync. It checks no permissions, has no configuration, counts no failures and logs nothing: it is for
 * measuring, not for use. Argument: the directory of the users' files.
 *
 * A user's file: 20 bytes of key, 8 of the last step, zeros up to 4,096.
 */
#include "../../tests/c/totp.h"
#include "setcred.h"
#include <fcntl.h>
#include <security/pam_ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct __attribute__((packed)) record {
    uint8_t key[KEY];
    uint64_t step;
};

static int judge(int file, const char *answer) {
    struct record record;
    if (flock(file, LOCK_EX) || pread(file, &record, sizeof record, 0) != sizeof record)
        return PAM_SYSTEM_ERR;
    uint64_t step = time(NULL) / 30;
    if (strlen(answer) != 6 || strtoul(answer, NULL, 10) != code_of(record.key, step) || step <= record.step)
        return PAM_AUTH_ERR;
    if (pwrite(file, &step, sizeof step, KEY) != sizeof step || fdatasync(file))
        return PAM_SYSTEM_ERR;
    return PAM_SUCCESS;
}

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)flags;
    const char *user;
    char *answer = NULL, path[128];
    if (argc < 1 || pam_get_user(handle, &user, NULL) != PAM_SUCCESS ||
        pam_prompt(handle, PAM_PROMPT_ECHO_OFF, &answer, "Code: ") != PAM_SUCCESS || !answer)
        return PAM_AUTH_ERR;
    snprintf(path, sizeof path, "%s/%s", argv[0], user);
    int code = PAM_USER_UNKNOWN, file = open(path, O_RDWR | O_CLOEXEC);
    if (file >= 0) {
        code = judge(file, answer);
        close(file);
    }
    free(answer);
    return code;
}
