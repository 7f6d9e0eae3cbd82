/*
 * A small application with PAM logins, for the tests: what sshd or su would do, but scriptable, able to ask
 * from many processes at one instant, and able to behave badly. Prints one line for each thing it sees.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
#define PAM_CODES 64

struct options {
    const char *service, *confdir, *rhost, *ruser, *tty, *xdisplay, *phases, *mode, *argument;
    const char *users[MOST], *answers[MOST], *variables[MOST];
    int user_count, answer_count, variable_count;
    long repeat, processes, answer_size;
    int hold, quiet, in_thread, flags, strict, ask;
};

static struct options options = {.service = "tests", .phases = "a", .mode = "normal", .repeat = 1};

/* One login: whose, which answer comes next, and where a process tells that it has reached the prompt. */
struct login {
    pam_handle_t *handle;
    const char *user;
    int next_answer, fixed_answer, next_user, ready_fd;
};

static long tally[PAM_CODES];

static void print_text(const char *text) {
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\\n", stdout);
        else if ((unsigned char)*text < 32)
            printf("\\x%02x", (unsigned char)*text);
        else
            putchar(*text);
    }
    putchar('\n');
    fflush(stdout);
}

/* At the prompt: tell that we are here, and go on when the owner of our standard input closes it. */
static void wait_for_release(const struct login *login) {
    char byte;
    if (login->ready_fd >= 0 && write(login->ready_fd, "", 1) != 1)
        exit(70);
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
}

static char *answer_text(struct login *login) {
    if (options.answer_size) {
        char *long_answer = malloc(options.answer_size + 1);
        memset(long_answer, '7', options.answer_size);
        long_answer[options.answer_size] = 0;
        return long_answer;
    }
    if (options.ask) {
        char *line = NULL;
        size_t size = 0;
        ssize_t length = getline(&line, &size, stdin);
        if (length <= 0) {
            free(line);
            return NULL;
        }
        line[strcspn(line, "\n")] = 0;
        return line;
    }
    int index = login->fixed_answer >= 0 ? login->fixed_answer : login->next_answer++;
    return index < options.answer_count ? strdup(options.answers[index]) : NULL;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
    struct login *login = data;
    if (!strcmp(options.mode, "null-array")) {
        *responses = NULL;
        return PAM_SUCCESS;
    }
    struct pam_response *array = calloc(count, sizeof *array);
    for (int i = 0; i < count; i++) {
        int style = messages[i]->msg_style;
        if (!options.quiet) {
            printf("message style=%d text=", style);
            print_text(messages[i]->msg ? messages[i]->msg : "(null)");
        }
        if (style != PAM_PROMPT_ECHO_OFF && style != PAM_PROMPT_ECHO_ON)
            continue;
        if (options.hold)
            wait_for_release(login);
        if (!strcmp(options.mode, "conv-err")) {
            free(array);
            return PAM_CONV_ERR;
        }
        if (!strcmp(options.mode, "change-user"))
            pam_set_item(login->handle, PAM_USER, options.argument);
        if (!strcmp(options.mode, "change-items"))
            for (int item = PAM_SERVICE; item <= PAM_RUSER; item++)
                if (item != PAM_CONV)
                    pam_set_item(login->handle, item, options.argument);
        if (!strcmp(options.mode, "null-response"))
            continue;
        /* The first answer for passwords, the others for what is typed openly. */
        if (!strcmp(options.mode, "by-echo"))
            login->fixed_answer = style == PAM_PROMPT_ECHO_OFF ? 0 : ++login->next_answer;
        array[i].resp = answer_text(login);
        if (!strcmp(options.mode, "invalid-utf8")) {
            free(array[i].resp);
            array[i].resp = strdup("12\xff\xfe\xc0\x80" "34");
        }
        if (!strcmp(options.mode, "after-nul")) {
            /* Six right digits, a NUL, and more: only what is before the NUL is the answer. */
            char *text = calloc(1, 32);
            snprintf(text, 32, "%s", array[i].resp ? array[i].resp : "");
            memcpy(text + 16, "garbage", 7);
            free(array[i].resp);
            array[i].resp = text;
        }
        if (!array[i].resp) {
            free(array);
            return PAM_CONV_ERR;
        }
    }
    *responses = array;
    return PAM_SUCCESS;
}

static int refuse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
    (void)count;
    (void)messages;
    (void)responses;
    (void)data;
    return PAM_CONV_ERR;
}

/* Does not slow down failed logins: the tests look at the module's answers, not at an application's waits. */
static void no_delay(int status, unsigned delay, void *data) {
    (void)status;
    (void)delay;
    (void)data;
}

static void report(const char *call, int code) {
    if (!options.quiet) {
        printf("%s=%d\n", call, code);
        fflush(stdout);
    }
}

/* One whole login, pam_start to pam_end. Gives what authenticate gave, or pam_start if that failed. */
static int log_in(struct login *login) {
    struct pam_conv conversation = {converse, login};
    int code = options.confdir
                   ? pam_start_confdir(options.service, login->user, &conversation, options.confdir, &login->handle)
                   : pam_start(options.service, login->user, &conversation, &login->handle);
    if (code != PAM_SUCCESS) {
        report("start", code);
        return code;
    }
    pam_set_item(login->handle, PAM_FAIL_DELAY, (const void *)no_delay);
    if (options.rhost)
        pam_set_item(login->handle, PAM_RHOST, options.rhost);
    if (options.ruser)
        pam_set_item(login->handle, PAM_RUSER, options.ruser);
    if (options.tty)
        pam_set_item(login->handle, PAM_TTY, options.tty);
    if (options.xdisplay)
        pam_set_item(login->handle, PAM_XDISPLAY, options.xdisplay);
    for (int i = 0; i < options.variable_count; i++)
        pam_putenv(login->handle, options.variables[i]);
    const struct pam_conv refusing = {refuse, NULL}, none = {NULL, NULL};
    int result = PAM_SUCCESS, last = PAM_SUCCESS;
    for (const char *phase = options.phases; *phase && (last == PAM_SUCCESS || !options.strict); phase++) {
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        switch (*phase) {
        case 'a': report("authenticate", last = result = pam_authenticate(login->handle, options.flags)); break;
        case 'c': report("setcred", last = pam_setcred(login->handle, PAM_ESTABLISH_CRED)); break;
        case 'm': report("acct_mgmt", last = pam_acct_mgmt(login->handle, options.flags)); break;
        case 'p': report("chauthtok", last = pam_chauthtok(login->handle, 0)); break;
        case 'o': report("open_session", last = pam_open_session(login->handle, options.flags)); break;
        /* What else an application may do to a handle: the next user, no conversation any more. */
        case 'u': pam_set_item(login->handle, PAM_USER, options.users[++login->next_user % MOST]); break;
        case 'r': pam_set_item(login->handle, PAM_CONV, &refusing); break;
        case 'n': pam_set_item(login->handle, PAM_CONV, &none); break;
        case 'x': report("close_session", last = pam_close_session(login->handle, 0)); break;
        }
        clock_gettime(CLOCK_MONOTONIC, &after);
        if (!options.quiet) {
            long took = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
            printf("took_ms=%ld\ntook_us=%ld\n", took / 1000, took);
        }
    }
    const void *user = NULL;
    if (!options.quiet && pam_get_item(login->handle, PAM_USER, &user) == PAM_SUCCESS && user) {
        fputs("user=", stdout);
        print_text(user);
    }
    report("end", pam_end(login->handle, last));
    return result;
}

static long resident_pages(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(70);
    fclose(file);
    return resident;
}

static void count(int code) { tally[code >= 0 && code < PAM_CODES ? code : PAM_CODES - 1]++; }

static void *log_in_once(void *login) {
    count(log_in(login));
    return NULL;
}

static void log_in_repeatedly(void) {
    long early = 0;
    for (long i = 0; i < options.repeat; i++) {
        /* Several users have one answer each; one login may need several. */
        struct login login = {.user = options.users[i % options.user_count],
                              .fixed_answer = options.repeat > 1 && options.user_count > 1 ? i % options.user_count : -1,
                              .ready_fd = -1};
        if (options.in_thread) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, log_in_once, &login) || pthread_join(thread, NULL))
                exit(70);
        } else {
            log_in_once(&login);
        }
        if (options.repeat > 1 && i == options.repeat / 10)
            early = resident_pages();
    }
    if (options.repeat > 1)
        printf("grown_kib=%ld\n", (resident_pages() - early) * (sysconf(_SC_PAGESIZE) / 1024));
}

/* Many processes, each with one login; all wait at the prompt until the last one has reached it. */
static void log_in_together(void) {
    int ready[2], release[2];
    if (pipe(ready) || pipe(release))
        exit(70);
    fflush(stdout);
    for (long i = 0; i < options.processes; i++) {
        if (fork() == 0) {
            dup2(release[0], STDIN_FILENO);
            close(release[0]);
            close(release[1]);
            close(ready[0]);
            struct login login = {.user = options.users[i % options.user_count],
                                  .fixed_answer = i % (options.answer_count ? options.answer_count : 1),
                                  .ready_fd = ready[1]};
            options.hold = options.quiet = 1;
            _exit(log_in(&login));
        }
    }
    close(ready[1]);
    close(release[0]);
    char byte;
    /* A process that ends without a prompt closes its end too, so this never waits for nothing. */
    for (long i = 0; i < options.processes && read(ready[0], &byte, 1) == 1; i++)
        ;
    close(release[1]);
    int status;
    while (wait(&status) > 0)
        count(WIFEXITED(status) ? WEXITSTATUS(status) : PAM_CODES - 1);
}

int main(int argc, char **argv) {
    enum { SERVICE, USER, CONFDIR, RHOST, TTY, ANSWER, ANSWER_SIZE, REPEAT, PROCESSES, PHASES, MODE, ARGUMENT, HOLD, QUIET, IN_THREAD,
           PUTENV, SILENT, STRICT, ASK, RUSER, XDISPLAY };
    const struct option names[] = {
        {"service", 1, 0, SERVICE}, {"user", 1, 0, USER}, {"confdir", 1, 0, CONFDIR}, {"rhost", 1, 0, RHOST},
        {"tty", 1, 0, TTY}, {"answer", 1, 0, ANSWER}, {"answer-size", 1, 0, ANSWER_SIZE}, {"repeat", 1, 0, REPEAT},
        {"processes", 1, 0, PROCESSES}, {"phases", 1, 0, PHASES}, {"mode", 1, 0, MODE}, {"argument", 1, 0, ARGUMENT},
        {"hold", 0, 0, HOLD}, {"quiet", 0, 0, QUIET}, {"in-thread", 0, 0, IN_THREAD},
        {"putenv", 1, 0, PUTENV}, {"silent", 0, 0, SILENT}, {"strict", 0, 0, STRICT}, {"ask", 0, 0, ASK},
        {"ruser", 1, 0, RUSER}, {"xdisplay", 1, 0, XDISPLAY}, {0, 0, 0, 0}};
    int name;
    while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (name) {
        case SERVICE: options.service = optarg; break;
        case USER: options.users[options.user_count++ % MOST] = optarg; break;
        case CONFDIR: options.confdir = optarg; break;
        case RHOST: options.rhost = optarg; break;
        case RUSER: options.ruser = optarg; break;
        case TTY: options.tty = optarg; break;
        case XDISPLAY: options.xdisplay = optarg; break;
        case ANSWER: options.answers[options.answer_count++ % MOST] = optarg; break;
        case ANSWER_SIZE: options.answer_size = atol(optarg); break;
        case REPEAT: options.repeat = atol(optarg); break;
        case PROCESSES: options.processes = atol(optarg); break;
        case PHASES: options.phases = optarg; break;
        case MODE: options.mode = optarg; break;
        case ARGUMENT: options.argument = optarg; break;
        case HOLD: options.hold = 1; break;
        case QUIET: options.quiet = 1; break;
        case IN_THREAD: options.in_thread = 1; break;
        case PUTENV: options.variables[options.variable_count++ % MOST] = optarg; break;
        case SILENT: options.flags |= PAM_SILENT; break;
        /* As real programs do: the first part that fails ends it. */
        case STRICT: options.strict = 1; break;
        /* Every answer is a line of standard input. */
        case ASK: options.ask = 1; break;
        default: return 64;
        }
    }
    if (!options.user_count)
        options.users[options.user_count++] = NULL;
    if (options.processes)
        log_in_together();
    else
        log_in_repeatedly();
    for (int code = 0; code < PAM_CODES; code++)
        if (tally[code])
            printf("tally code=%d count=%ld\n", code, tally[code]);
    return 0;
}
