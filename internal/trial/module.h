/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logs a user in through one module, which need not be installed. Real libpam loads the
 * module. build/module/check.c and pamnetctl(8) use this.
 *
 * Each function returns NULL if the module is right. Otherwise it returns what the module
 * does wrong: the rest of a sentence that begins with the module. A module that crashes
 * ends the calling process.
 */
#ifndef CHECK_MODULE_H
#define CHECK_MODULE_H

/* Opens a session for a non-member. The module must return PAM_IGNORE. */
const char *try_nonmember(const char *module);

/*
 * Opens a session for a member, up to the start of Go. First the calling thread gives up all
 * its rights for good. So the module must refuse the login, and changes nothing of the
 * machine. The process should be process 1 in PID and mount namespaces of its own. Sets
 * untried to the reason if the machine does not allow such a login.
 */
const char *try_member(const char *module, const char **untried);

#endif
