/*
 * A name service whose group look-ups go wrong as a directory's do. The first word of /etc/nss-groups says
 * how: hang (no answer comes), huge (two thousand groups), one (group 100000, which lists no members), short
 * (it is unavailable: libc then gives the groups that it has, and success).
 */
#include <errno.h>
#include <grp.h>
#include <nss.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum nss_status _nss_groups_initgroups_dyn(const char *user, gid_t group, long *start, long *size, gid_t **groups,
                                           long limit, int *error) {
    char how[8] = "";
    FILE *file = fopen("/etc/nss-groups", "r");
    (void)user;
    if (file) {
        if (fscanf(file, "%7s", how) != 1)
            how[0] = 0;
        fclose(file);
    }
    if (!strcmp(how, "hang"))
        for (;;)
            pause();
    gid_t end = !strcmp(how, "huge") ? 102000 : !strcmp(how, "one") ? 100001 : 0;
    if (!end) {
        *error = ENOENT;
        return NSS_STATUS_UNAVAIL;
    }
    for (gid_t gid = 100000; gid < end && (limit <= 0 || *start < limit); gid++) {
        if (*start == *size) {
            gid_t *larger = realloc(*groups, 2 * *size * sizeof **groups);
            if (!larger) {
                *error = ENOMEM;
                return NSS_STATUS_TRYAGAIN;
            }
            *groups = larger;
            *size *= 2;
        }
        if (gid != group)
            (*groups)[(*start)++] = gid;
    }
    return NSS_STATUS_SUCCESS;
}
