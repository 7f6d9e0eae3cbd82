/*
 * Runs a program one of whose reads or writes gets half of what it asks for: what strace's injection can't
 * do, which answers in the kernel's place.
 *
 *     short_io FILE CALL NTH PROGRAM…
 *
 * The NTH call of that name is made with half its length, at least one byte; a line about it in FILE, as
 * strace would write it.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static long number_of(const char *name) {
    const struct { const char *name; long number; } calls[] = {
        {"read", SYS_read}, {"write", SYS_write}, {"pread64", SYS_pread64}, {"pwrite64", SYS_pwrite64}};
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(name, calls[i].name))
            return calls[i].number;
    exit(64);
}

/* On entry to the call: its third argument is its length. Gives what it was. */
static unsigned long long halve(pid_t child, FILE *trace, const char *name) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, child, NULL, &registers))
        exit(71);
    unsigned long long asked = registers.rdx;
    registers.rdx = asked > 1 ? asked / 2 : asked;
    if (ptrace(PTRACE_SETREGS, child, NULL, &registers))
        exit(71);
    fprintf(trace, "%s(%d, %llu of %llu bytes) (INJECTED)\n", name, (int)registers.rdi, registers.rdx, asked);
    fflush(trace);
    return asked;
}

/* On its way out: the program takes it for granted that the kernel leaves its registers alone. */
static void give_back(pid_t child, unsigned long long asked) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, child, NULL, &registers))
        exit(71);
    registers.rdx = asked;
    if (ptrace(PTRACE_SETREGS, child, NULL, &registers))
        exit(71);
}

int main(int argc, char **argv) {
    if (argc < 5)
        return 64;
    FILE *trace = fopen(argv[1], "we");
    const long number = number_of(argv[2]), nth = atol(argv[3]);
    const pid_t child = fork();
    if (!trace || child < 0)
        return 71;
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        execvp(argv[4], argv + 4);
        _exit(127);
    }
    int status, pass = 0;
    long seen = 0;
    unsigned long long asked = 0;
    waitpid(child, &status, 0);
    ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
    while (ptrace(PTRACE_SYSCALL, child, NULL, pass) == 0 && waitpid(child, &status, 0) == child && WIFSTOPPED(status)) {
        pass = 0;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            pass = status >> 8 == (SIGTRAP | PTRACE_EVENT_EXEC << 8) ? 0 : WSTOPSIG(status);
            continue;
        }
        struct __ptrace_syscall_info info;
        if (ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof info, &info) < 0)
            return 71;
        if (info.op == PTRACE_SYSCALL_INFO_ENTRY && (long)info.entry.nr == number && ++seen == nth) {
            asked = halve(child, trace, argv[2]);
        } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && asked) {
            give_back(child, asked);
            asked = 0;
        }
    }
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 70;
}
