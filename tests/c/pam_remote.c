// A module of a directory service that does not know the users of this host: pam_sss, pam_ldap, pam_krb5 ….
#include <string.h>

enum { SUCCESS = 0, USER_UNKNOWN = 10, IGNORE = 25 };

int pam_sm_authenticate(void *handle, int flags, int argc, const char **argv) { return USER_UNKNOWN; }
int pam_sm_setcred(void *handle, int flags, int argc, const char **argv) { return IGNORE; }
// With minimum_uid, local users are none of its business.
int pam_sm_acct_mgmt(void *handle, int flags, int argc, const char **argv) {
    for (int i = 0; i < argc; i++)
        if (strncmp(argv[i], "minimum_uid=", 12) == 0) return IGNORE;
    return USER_UNKNOWN;
}
int pam_sm_open_session(void *handle, int flags, int argc, const char **argv) { return SUCCESS; }
int pam_sm_close_session(void *handle, int flags, int argc, const char **argv) { return SUCCESS; }
int pam_sm_chauthtok(void *handle, int flags, int argc, const char **argv) { return USER_UNKNOWN; }
