/*
 * An application that is in a state in which no login module would like to find it.
 *
 *     hostile_host CONDITION USER ANSWER
 *
 * or, for COUNT whole logins and what grew after the first tenth of them:
 *
 *     hostile_host loads|leaky-loads|first-logins USER COUNT
 *
 * Prints authenticate=CODE, and for some conditions more. One login of 64 threads at once is the condition
 * "threads": then USER is a prefix that gets a number (without a number if it ends in "!"), and ANSWER is a
 * list separated by commas.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <security/pam_appl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#define THREADS 64

struct login {
    pam_handle_t *handle;
    char user[64];
    const char *answer;
    int code, asked;
};

static const char *condition;
static pthread_barrier_t at_the_prompt;
static volatile sig_atomic_t alarms;

static int is(const char *name) { return strcmp(condition, name) == 0; }

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *data) {
    struct login *login = data;
    struct pam_response *array = calloc(count, sizeof *array);
    for (int i = 0; i < count; i++) {
        if (messages[i]->msg_style != PAM_PROMPT_ECHO_OFF && messages[i]->msg_style != PAM_PROMPT_ECHO_ON)
            continue;
        /* A first login: the password, Enter for the code, and giving up at the picture. */
        const char *first_login[] = {"correct horse 7", "", "q", ""};
        array[i].resp = strdup(is("first-logins") ? first_login[login->asked < 3 ? login->asked : 3] : login->answer);
        login->asked++;
        if (is("fork") && fork() == 0)
            alarm(30); /* child and parent both go on from here */
        if (is("user-changed"))
            pam_set_item(login->handle, PAM_USER, "bobby");
        if (is("user-and-back")) {
            char other[128];
            memset(other, 'x', sizeof other - 1);
            other[sizeof other - 1] = 0;
            pam_set_item(login->handle, PAM_USER, other);
            if (!strdup("somebody")) /* where the user's name was */
                exit(70);
            pam_set_item(login->handle, PAM_USER, login->user);
        }
        if (is("chroot-at-the-prompt") && (chroot("/run/empty") || chdir("/")))
            exit(71);
        if (is("threads"))
            pthread_barrier_wait(&at_the_prompt);
    }
    *responses = array;
    return PAM_SUCCESS;
}

static void *log_in(void *data) {
    struct login *login = data;
    const struct pam_conv conversation = {converse, login};
    login->code = pam_start("tests", login->user, &conversation, &login->handle);
    if (login->code)
        return NULL;
    login->code = pam_authenticate(login->handle, 0);
    pam_end(login->handle, login->code);
    return NULL;
}

static void log_in_threads(const char *prefix, char *answers) {
    static struct login logins[THREADS];
    pthread_t threads[THREADS];
    size_t length = strlen(prefix);
    int same = prefix[length - 1] == '!', accepted = 0;
    char *rest = answers, *answer = NULL;
    pthread_barrier_init(&at_the_prompt, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        char *next = strsep(&rest, ",");
        answer = next ? next : answer;
        logins[i].answer = answer;
        if (same)
            snprintf(logins[i].user, sizeof logins[i].user, "%.*s", (int)length - 1, prefix);
        else
            snprintf(logins[i].user, sizeof logins[i].user, "%s%d", prefix, i);
        if (pthread_create(&threads[i], NULL, log_in, &logins[i]))
            exit(70);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        accepted += logins[i].code == PAM_SUCCESS;
    }
    printf("accepted=%d\n", accepted);
}

static int open_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 4096; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static long mappings(void) {
    long lines = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    for (int byte; file && (byte = getc(file)) != EOF;)
        lines += byte == '\n';
    fclose(file);
    return lines;
}

static long resident_kib(void) {
    long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &resident) != 2)
        exit(70);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Keys are handed out lowest first: the next one tells how many were never given back. */
static long next_key(void) {
    pthread_key_t key;
    if (pthread_key_create(&key, NULL))
        return -1;
    pthread_key_delete(key);
    return key;
}

static void leak(void) {
    pthread_key_t key;
    pthread_key_create(&key, NULL);
    if (open("/dev/null", O_RDONLY) < 0)
        exit(71);
    /* Every second page is of another kind, or the kernel makes one mapping of them. */
    static int writable;
    writable = !writable;
    char *page = mmap(NULL, 4096, writable ? PROT_READ | PROT_WRITE : PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (page == MAP_FAILED)
        exit(71);
}

static void load_again_and_again(const char *user, long count) {
    long maps = 0, kib = 0, keys = 0, descriptors = 0, ignored = 0;
    for (long i = 0; i < count; i++) {
        struct login login = {.answer = ""};
        snprintf(login.user, sizeof login.user, "%s", user);
        log_in(&login);
        ignored += is("first-logins") ? login.code == PAM_AUTH_ERR && login.asked == 3 : login.code == PAM_SUCCESS;
        if (is("leaky-loads"))
            leak();
        if (i == count / 10)
            maps = mappings(), kib = resident_kib(), keys = next_key(), descriptors = open_descriptors();
    }
    printf("passed=%ld\n", ignored);
    printf("mappings=%ld\n", mappings() - maps);
    printf("kib=%ld\n", resident_kib() - kib);
    printf("keys=%ld\n", next_key() - keys);
    printf("descriptors=%ld\n", open_descriptors() - descriptors);
}

/* What of a process's state a guest in it might change and forget. */
struct state {
    sigset_t mask;
    struct sigaction actions[_NSIG];
    struct rlimit limits[RLIM_NLIMITS];
    uid_t uids[3];
    gid_t gids[3];
    mode_t mask_of_files;
    int policy, nice;
    char directory[256];
};

static void look(struct state *state) {
    memset(state, 0, sizeof *state);
    sigprocmask(SIG_SETMASK, NULL, &state->mask);
    for (int number = 1; number < _NSIG; number++) {
        struct sigaction action = {0};
        sigaction(number, NULL, &action);
        /* Without SA_RESTORER, the C library's own, and without what it leaves undefined after signal 64. */
        state->actions[number].sa_handler = action.sa_handler;
        state->actions[number].sa_flags = action.sa_flags & ~0x04000000;
        memcpy(&state->actions[number].sa_mask, &action.sa_mask, 8);
    }
    for (int resource = 0; resource < RLIM_NLIMITS; resource++)
        getrlimit(resource, &state->limits[resource]);
    getresuid(&state->uids[0], &state->uids[1], &state->uids[2]);
    getresgid(&state->gids[0], &state->gids[1], &state->gids[2]);
    umask(state->mask_of_files = umask(0));
    state->policy = sched_getscheduler(0);
    state->nice = getpriority(PRIO_PROCESS, 0);
    /* After a chroot there is none. */
    if (!getcwd(state->directory, sizeof state->directory))
        state->directory[0] = 0;
}

/* The names of what is not as it was, each with a comma. */
static void report_changes(int out, const struct state *before) {
    static struct state now;
    look(&now);
#define CHANGED(member) (memcmp(&before->member, &now.member, sizeof now.member) ? #member "," : "")
    dprintf(out, "changed=%s%s%s%s%s%s%s%s%s\n", CHANGED(mask), CHANGED(actions), CHANGED(limits), CHANGED(uids), CHANGED(gids),
            CHANGED(mask_of_files), CHANGED(policy), CHANGED(nice), CHANGED(directory));
}

static void count_alarm(int signal) {
    (void)signal;
    alarms++;
}

/* Every call of `number` fails with ENOSYS, or kills. */
static void forbid(unsigned number, unsigned action) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        exit(71);
}

static void limit(int resource, rlim_t value) {
    const struct rlimit limits = {value, value};
    if (setrlimit(resource, &limits))
        exit(71);
}

static void arrange(void) {
    struct rlimit descriptors = {4096, 4096};
    sigset_t all;
    sigfillset(&all);
    if (is("many-descriptors")) {
        setrlimit(RLIMIT_NOFILE, &descriptors);
        for (int i = 0; i < 1024; i++)
            if (open("/dev/null", O_RDONLY) < 0)
                exit(71);
    }
    if (is("all-signals-blocked"))
        sigprocmask(SIG_BLOCK, &all, NULL);
    if (is("all-signals-ignored"))
        for (int number = 1; number < 32; number++)
            signal(number, SIG_IGN);
    if (is("alarm-storm")) {
        const struct sigaction action = {.sa_handler = count_alarm}; /* without SA_RESTART */
        const struct itimerval every = {{0, 1000}, {0, 1000}};
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
    }
    if (is("no-getrandom"))
        forbid(SYS_getrandom, SECCOMP_RET_ERRNO | ENOSYS);
    /* The C library's first allocation asks for random numbers, in any program. */
    void *volatile first = malloc(1);
    free(first);
    if (is("getrandom-kills") || is("getrandom-kills-us"))
        forbid(SYS_getrandom, SECCOMP_RET_KILL_PROCESS);
    if (is("getrandom-kills-us"))
        syscall(SYS_getrandom, &all, sizeof all, 0);
    if (is("no-openat2"))
        forbid(SYS_openat2, SECCOMP_RET_ERRNO | ENOSYS);
    if (is("no-flock"))
        forbid(SYS_flock, SECCOMP_RET_ERRNO | EPERM);
    if (is("no-fdatasync"))
        forbid(SYS_fdatasync, SECCOMP_RET_ERRNO | EPERM);
    if (!strncmp(condition, "descriptors-", 12))
        limit(RLIMIT_NOFILE, atoi(condition + 12));
    if (is("no-file-size"))
        limit(RLIMIT_FSIZE, 0);
    if (is("tiny-stack"))
        limit(RLIMIT_STACK, 64 * 1024);
}

int main(int argc, char **argv) {
    if (argc < 4)
        return 64;
    condition = argv[1];
    if (is("threads")) {
        log_in_threads(argv[2], argv[3]);
        return 0;
    }
    if (is("loads") || is("leaky-loads") || is("first-logins")) {
        load_again_and_again(argv[2], atol(argv[3]));
        return 0;
    }
    /* Closed descriptors stay closed until the login is over; the report goes out by a copy. */
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 100), before;
    if (is("closed-standard"))
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
    struct login login = {.answer = argv[3]};
    snprintf(login.user, sizeof login.user, "%s", argv[2]);
    pid_t parent = getpid();
    if (chdir("/"))
        return 71;
    before = open_descriptors();
    arrange();
    if (is("many-descriptors"))
        before = open_descriptors();
    static struct state state;
    look(&state);
    log_in(&login);
    const struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    closelog(); /* the C library keeps its connection to the log */
    dprintf(out, "authenticate=%d\n", login.code);
    if (getpid() != parent)
        _exit(0);
    report_changes(out, &state);
    dprintf(out, "descriptors_left=%d\nalarms=%d\n", open_descriptors() - before, (int)alarms);
    while (wait(NULL) > 0)
        ;
    return 0;
}
