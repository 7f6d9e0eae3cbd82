/* A PAM module that takes the password and then, by its argument:
 *
 * hang    never comes back, nor does a program that it has started
 * crash   dies by SIGSEGV
 * leave   says yes and leaves a program running
 *
 * In an account part it asks a question, and says yes to whoever answers.
 */
#define _GNU_SOURCE
#include <security/pam_ext.h>
#include <security/pam_modules.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int *nowhere;

static void start_something(void)
{
    if (fork() == 0) {
        execl("/bin/sleep", "left-behind", "3600", (char *)NULL);
        _exit(1);
    }
}

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    const char *password = NULL;
    const char *how = argc > 0 ? argv[0] : "";
    (void)flags;
    if (pam_get_authtok(pamh, PAM_AUTHTOK, &password, NULL) != PAM_SUCCESS)
        return PAM_AUTH_ERR;
    if (strcmp(how, "crash") == 0)
        *nowhere = 1;
    start_something();
    while (strcmp(how, "hang") == 0)
        pause();
    return PAM_SUCCESS;
}

int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh, (void)flags, (void)argc, (void)argv;
    return PAM_SUCCESS;
}

int pam_sm_acct_mgmt(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    char *answer = NULL;
    (void)flags, (void)argc, (void)argv;
    int asked = pam_prompt(pamh, PAM_PROMPT_ECHO_ON, &answer, "And your account: ");
    free(answer);
    return asked;
}
