/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_CHILD_SSSD_H
#define PAMNET_CHILD_SSSD_H

#include <stdbool.h>

/*
 * Whether SSSD takes connections; else errno is set. Its library returns "not found" while
 * SSSD is away, if it was built with --enable-sss-default-nss-plugin, as Fedora's is.
 * Runs in the child alone, for SSSD is no local source. It may wait for 2 seconds.
 */
bool sssd_answers(void);

#endif
