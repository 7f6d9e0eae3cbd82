/*
 * An application whose memory is looked at from outside. It keeps no answer and no message: answers come line
 * by line on standard input, messages go straight to standard output. At every prompt, and after every hook,
 * it says where it is and waits for a line.
 *
 *     memory_host USER PHASES [keep FILE]
 *
 * keep: it holds on to the answers and FILE's content, so that the search must find them
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char line[256], kept[16384];
static size_t kept_length;
static int keep;

static void say(const char *text) {
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(70);
}

static void read_line(void) {
    size_t length = 0;
    while (length < sizeof line - 1 && read(STDIN_FILENO, line + length, 1) == 1 && line[length] != '\n')
        length++;
    line[length] = 0;
    if (keep && kept_length + length <= sizeof kept) {
        memcpy(kept + kept_length, line, length);
        kept_length += length;
    }
}

static void stop_at(const char *place, int code) {
    char text[64];
    snprintf(text, sizeof text, "at=%s code=%d\n", place, code);
    say(text);
    read_line();
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
    struct pam_response *array = calloc(count, sizeof *array);
    (void)data;
    for (int i = 0; i < count; i++) {
        say(messages[i]->msg);
        say("\n");
        if (messages[i]->msg_style != PAM_PROMPT_ECHO_OFF && messages[i]->msg_style != PAM_PROMPT_ECHO_ON)
            continue;
        stop_at("prompt", 0);
        array[i].resp = strdup(line);
        explicit_bzero(line, sizeof line);
    }
    *responses = array;
    return PAM_SUCCESS;
}

int main(int argc, char **argv) {
    const struct pam_conv conversation = {converse, NULL};
    pam_handle_t *handle;
    char text[32];
    if (argc < 3 || pam_start("tests", argv[1], &conversation, &handle))
        return 64;
    keep = argc > 4;
    if (keep) {
        int file = open(argv[4], O_RDONLY);
        ssize_t length = read(file, kept, sizeof kept);
        if (length <= 0 || close(file))
            return 71;
        kept_length = length;
    }
    snprintf(text, sizeof text, "pid=%d\n", getpid());
    say(text);
    for (const char *phase = argv[2]; *phase; phase++) {
        if (*phase == 'a')
            stop_at("authenticate", pam_authenticate(handle, 0));
        if (*phase == 'm')
            stop_at("acct_mgmt", pam_acct_mgmt(handle, 0));
        if (*phase == 'o')
            stop_at("open_session", pam_open_session(handle, 0));
    }
    stop_at("end", pam_end(handle, PAM_SUCCESS));
    return 0;
}
