/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Logs somebody in through one module alone, which need not be installed. Real libpam
 * loads the module. build/module/check.c and pamnetctl(8) use this.
 *
 * Each function returns NULL if the module did right, else what it did, for a sentence
 * with the module as its subject. A module that crashes takes the calling process along.
 */
#ifndef CHECK_MODULE_H
#define CHECK_MODULE_H

/* Opens a session for a non-member: the module has to return PAM_IGNORE. */
const char *try_nonmember(const char *module);

/*
 * Opens a session for a member, up to the start of Go. The calling thread loses all its
 * rights for good, so that the module has to refuse the login: nothing of the machine is
 * changed. The process should be process 1 in PID and mount namespaces of its own. Sets
 * untried to the reason if the machine does not allow such a login.
 */
const char *try_member(const char *module, const char **untried);

#endif
