/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_REFUSAL_H
#define PAMNET_REFUSAL_H

#include <security/pam_modules.h>
#include <stddef.h>

/*
 * Appends to the reason of a refusal which capabilities the calling thread lacks of those
 * that every member's session needs. Appends nothing if it has them all.
 */
void refusal_add_missing_capabilities(char *reason, size_t size);

/*
 * Moves the calling thread into a new network namespace, in which lo is down, and logs that,
 * or why the thread stays where it is. Needs CAP_SYS_ADMIN. The caller must have refused the
 * session: a login service that ignores the refusal runs it in a network of nobody's.
 */
void refusal_enter_empty_network(pam_handle_t *pamh);

#endif
