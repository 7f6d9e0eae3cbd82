/*
 * Preloaded, it takes memory away from the PAM module: of the module's allocations the one with the number in
 * NO_MEMORY fails, and all that follow. At the program's end it prints how many there were.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_memalign(size_t, size_t);

static long count;

static int fails(const void *caller) {
    Dl_info place;
    if (!dladdr(caller, &place) || !place.dli_fname || !strstr(place.dli_fname, "pam_qrtotp"))
        return 0;
    return ++count >= atol(getenv("NO_MEMORY"));
}

void *malloc(size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = fails(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}

__attribute__((destructor)) static void tell(void) {
    if (count)
        printf("allocations=%ld\n", count);
}
