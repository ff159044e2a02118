/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_REASON_H
#define PAMNET_REASON_H

#include <stdbool.h>

#define REASON_MAX 1280 /* the text of a message (wire.h), and words around it */

/*
 * Writes why something has failed, in the format of printf(3); %m is strerror(errno).
 * Returns false, so that a function can fail with its reason in one statement.
 */
bool fail(char reason[REASON_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Appends to a reason. */
void fail_also(char reason[REASON_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Appends the capabilities that the calling thread lacks of those that every member's session
 * needs. Appends nothing if it has them all.
 */
void add_missing_capabilities(char reason[REASON_MAX]);

#endif
