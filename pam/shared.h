/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the modules of one stack tell each other: of which questions the user is a
 * non-member, and that a source does not answer. So three modules cost one lookup, and at
 * most one child; and a directory that hangs costs timeout= once.
 */
#ifndef PAMNET_SHARED_H
#define PAMNET_SHARED_H

#include <security/pam_modules.h>
#include <stdbool.h>

#include "module.h"
#include "verdict.h"

/*
 * Returns NONMEMBER or NO_GROUP if a module of this stack has just found that out
 * of the same user by the same question, else UNKNOWN.
 */
enum membership shared_get(pam_handle_t *pamh, const char *user, enum kind kind, const char *group);

/* Keeps what is known of the user by this question, unless it is not "non-member". */
void shared_put(pam_handle_t *pamh, const char *user, enum kind kind, const char *group,
		enum membership membership);

/*
 * Returns why a module of this stack has just failed to find out what the user is a member
 * of, or NULL if none has. The caller must take the user for unknown then, whatever the
 * question. It need not ask again.
 */
const char *shared_get_unknown(pam_handle_t *pamh, const char *user);

void shared_put_unknown(pam_handle_t *pamh, const char *user, const char *why);

/* Sets siblings to the other modules that are loaded in this process, so may be of the stack. */
void shared_siblings(const struct module *self, bool siblings[KINDS]);

#endif
