/*
 * An application that measures PAM logins, one after the other or from many processes at once:
 *
 *     driver PLAN [PROCESSES [traces]]
 *
 * A line of the plan is SERVICE USER ANSWER TIME: a login in that service, with that answer to every
 * question, at that Unix time. The clock is this program's own (time and clock_gettime below stand before
 * libc's), so that nobody waits for the next code. Prints `CODE NANOSECONDS KIB` for each line, in order,
 * from pam_start to pam_end, the loading of the modules included; then `total NANOSECONDS PROCESSOR`, from
 * when the last process was there until all were done, and the nanoseconds that the cores worked for them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct attempt {
    char service[32], user[64], answer[32];
    long time;
};

struct outcome {
    long code, nanoseconds, kib;
};

static struct attempt *plan;
static struct outcome *outcomes;
static long count, now;
static int traces;

/* The clocks: ours where it is the time of day, libc's where time is measured. */
time_t time(time_t *where) {
    if (where)
        *where = now;
    return now;
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME)
        return real(clock, result);
    *result = (struct timespec){now, 0};
    return 0;
}

static long nanoseconds(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000 + at.tv_nsec;
}

/* Of this process, or of its children that have ended. */
static long processor(int whose) {
    struct rusage usage;
    if (getrusage(whose, &usage))
        return -1;
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000 +
           (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

static void fail(const char *what) {
    perror(what);
    exit(70);
}

static int converse(int number, const struct pam_message **messages, struct pam_response **responses, void *answer) {
    *responses = calloc(number, sizeof **responses);
    if (!*responses)
        return PAM_BUF_ERR;
    for (int i = 0; i < number; i++)
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF || messages[i]->msg_style == PAM_PROMPT_ECHO_ON)
            (*responses)[i].resp = strdup(answer);
    return PAM_SUCCESS;
}

/* Measures the costs of a module, not an application's wait after a failure. */
static void no_delay(int status, unsigned delay, void *data) {
    (void)status;
    (void)delay;
    (void)data;
}

static long log_in(struct attempt *attempt) {
    struct pam_conv conversation = {converse, attempt->answer};
    pam_handle_t *handle;
    now = attempt->time;
    int code = pam_start(attempt->service, attempt->user, &conversation, &handle);
    if (code != PAM_SUCCESS)
        return code;
    pam_set_item(handle, PAM_FAIL_DELAY, (const void *)no_delay);
    code = pam_authenticate(handle, 0);
    pam_end(handle, code);
    return code;
}

/* A number in /proc/self/status, in KiB where it has a unit. */
static long status(const char *name) {
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        fail("/proc/self/status");
    while (value < 0 && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
            value = atol(line + strlen(name) + 1);
    fclose(file);
    return value;
}

/* Resident memory may be counted in batches by the kernel; writing 5 sets the highest back to the present. */
static void forget_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file))
        fail("/proc/self/clear_refs");
}

static long mappings(const char *of) {
    char line[512];
    long found = 0;
    FILE *file = fopen("/proc/self/maps", "r");
    if (!file)
        fail("/proc/self/maps");
    while (fgets(line, sizeof line, file))
        found += !!strstr(line, of);
    fclose(file);
    return found;
}

static long descriptors(void) {
    long found = 0;
    DIR *directory = opendir("/proc/self/fd");
    if (!directory)
        fail("/proc/self/fd");
    while (readdir(directory))
        found++;
    closedir(directory);
    return found;
}

static void measure(long index) {
    long before = 0;
    if (traces) {
        forget_peak();
        before = status("VmRSS");
    }
    long start = nanoseconds();
    long code = log_in(&plan[index]);
    outcomes[index] = (struct outcome){code, nanoseconds() - start, 0};
    if (traces)
        outcomes[index].kib = status("VmHWM") - before;
}

/* After the first login, in which libraries set themselves up once, no other one may leave anything. */
static void one_by_one(void) {
    long fds = 0, maps = 0;
    for (long i = 0; i < count; i++) {
        measure(i);
        if (traces && i == 0) {
            fds = descriptors();
            maps = mappings("");
        }
    }
    if (traces)
        printf("left descriptors=%ld mappings=%ld modules=%ld threads=%ld\n", descriptors() - fds, mappings("") - maps,
               mappings("/security/"), status("Threads") - 1);
}

/* All processes wait for the last one; each has every PROCESSES-th line of the plan. Returns after all. */
static long together(long processes) {
    int ready[2], go[2];
    char byte;
    if (pipe(ready) || pipe(go))
        fail("pipe");
    for (long process = 0; process < processes; process++) {
        pid_t child = fork();
        if (child < 0)
            fail("fork");
        if (child == 0) {
            close(go[1]);
            if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 0)
                _exit(70);
            for (long i = process; i < count; i += processes)
                measure(i);
            _exit(0);
        }
    }
    for (long process = 0; process < processes; process++)
        if (read(ready[0], &byte, 1) != 1)
            fail("a process is missing");
    long start = nanoseconds();
    close(go[1]);
    int status;
    while (wait(&status) > 0)
        if (status)
            fail("a process died");
    return start;
}

static void read_plan(const char *path) {
    const long most = 1 << 18;
    plan = calloc(most, sizeof *plan);
    FILE *file = fopen(path, "r");
    if (!plan || !file)
        fail(path);
    while (count < most && fscanf(file, "%31s %63s %31s %ld", plan[count].service, plan[count].user,
                                  plan[count].answer, &plan[count].time) == 4)
        count++;
    fclose(file);
    /* Shared, for the processes; touched now, so that no login pays for it. */
    size_t size = (count + 1) * sizeof *outcomes;
    outcomes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (outcomes == MAP_FAILED)
        fail("mmap");
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 64;
    read_plan(argv[1]);
    long processes = argc > 2 ? atol(argv[2]) : 0;
    traces = argc > 3;
    long start = nanoseconds();
    if (processes)
        start = together(processes);
    else
        one_by_one();
    long total = nanoseconds() - start;
    long worked = processor(processes ? RUSAGE_CHILDREN : RUSAGE_SELF);
    for (long i = 0; i < count; i++)
        printf("%ld %ld %ld\n", outcomes[i].code, outcomes[i].nanoseconds, outcomes[i].kib);
    printf("total %ld %ld\n", total, worked);
    return 0;
}
