/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the modules of one stack tell each other: which questions have the answer "non-member",
 * and that a source does not answer. So three modules cost one lookup and at most one child,
 * and a directory that hangs costs timeout= once. Everything here runs in the login process.
 */
#ifndef PAMNET_SHARED_H
#define PAMNET_SHARED_H

#include <security/pam_modules.h>
#include <stdbool.h>

#include "member.h"

/*
 * Returns NONMEMBER or NO_GROUP if a module of this stack has just found that out about the
 * same user by the same question, else UNKNOWN.
 */
enum membership shared_get(pam_handle_t *pamh, const char *user, enum kind kind, const char *group);

/* Keeps an answer to this question about the user, if it is "non-member". */
void shared_put(pam_handle_t *pamh, const char *user, enum kind kind, const char *group,
		enum membership membership);

/*
 * Returns why a module of this stack has just failed to find out whether the user is a member,
 * or NULL if none has. The user is unknown then, whatever the question; the caller need not ask
 * again.
 */
const char *shared_get_unknown(pam_handle_t *pamh, const char *user);

/* Keeps that the user is unknown, and why. */
void shared_put_unknown(pam_handle_t *pamh, const char *user, const char *why);

/* Sets siblings to the other modules that are loaded in this process, and so may be in the stack. */
void shared_siblings(const struct module *self, bool siblings[KINDS]);

#endif
