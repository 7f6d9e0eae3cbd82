/* A module that asks one question and believes every answer: what asking alone costs. */
#include <security/pam_ext.h>
#include "setcred.h"
#include <stdlib.h>

int pam_sm_authenticate(pam_handle_t *handle, int flags, int argc, const char **argv) {
    (void)flags;
    (void)argc;
    (void)argv;
    char *answer = NULL;
    int code = pam_prompt(handle, PAM_PROMPT_ECHO_OFF, &answer, "Code: ");
    free(answer);
    return code;
}
