/*
 * A name service that takes ALICE for alice, as SSSD and Winbind do: the answer carries the canonical name.
 * Only names with a capital are its business; the rest is left to the files.
 */
#include <ctype.h>
#include <nss.h>
#include <pwd.h>
#include <string.h>

enum nss_status _nss_casefold_getpwnam_r(const char *name, struct passwd *result, char *buffer, size_t length, int *error) {
    char lower[64];
    size_t i, changed = 0;
    for (i = 0; name[i] && i < sizeof lower - 1; i++) {
        lower[i] = tolower((unsigned char)name[i]);
        changed += lower[i] != name[i];
    }
    lower[i] = 0;
    struct passwd *found = NULL;
    if (name[i] || !changed)
        return NSS_STATUS_NOTFOUND;
    *error = getpwnam_r(lower, result, buffer, length, &found);
    if (*error)
        return NSS_STATUS_TRYAGAIN;
    return found ? NSS_STATUS_SUCCESS : NSS_STATUS_NOTFOUND;
}
