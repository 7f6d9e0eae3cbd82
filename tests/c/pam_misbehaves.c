/* A PAM module that takes the password and then, by its argument:
 *
 * hang    never comes back, nor does a program that it has started
 * crash   dies by SIGSEGV
 * leave   says yes and leaves a program running
 * twice   says yes once a second hidden question was answered, too
 * visible says yes once a question was answered whose answer is shown
 * other   says yes and makes it a login of bobby
 * display says yes if the login is at display :7 and its environment has FROM=here, in the account part too
 *
 * In an account part it asks a question, and says yes to any answer.
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

static int ask(pam_handle_t *pamh, int style)
{
    char *answer = NULL;
    int asked = pam_prompt(pamh, style, &answer, "And one more: ");
    free(answer);
    return asked;
}

static int is_at_display_7(pam_handle_t *pamh)
{
    const void *display = NULL;
    const char *from = pam_getenv(pamh, "FROM");
    pam_get_item(pamh, PAM_XDISPLAY, &display);
    return display && from && !strcmp(display, ":7") && !strcmp(from, "here") ? PAM_SUCCESS : PAM_PERM_DENIED;
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
    if (strcmp(how, "display") == 0)
        return is_at_display_7(pamh);
    if (strcmp(how, "twice") == 0 || strcmp(how, "visible") == 0)
        return ask(pamh, strcmp(how, "twice") == 0 ? PAM_PROMPT_ECHO_OFF : PAM_PROMPT_ECHO_ON);
    if (strcmp(how, "other") == 0)
        return pam_set_item(pamh, PAM_USER, "bobby");
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
    (void)flags;
    if (argc > 0 && strcmp(argv[0], "display") == 0)
        return is_at_display_7(pamh);
    return ask(pamh, PAM_PROMPT_ECHO_ON);
}
