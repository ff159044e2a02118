/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PAMNET_CHILD_LOOKUP_H
#define PAMNET_CHILD_LOOKUP_H

#include "child.h"

/*
 * Runs in the child alone. Asks all sources of nsswitch.conf, directories included, whether
 * the user is a member, and sends what comes of it: the answer, or the verdict "unknown".
 * Returns true for a member; the answer is in the request then.
 */
bool child_lookup(struct request *request);

#endif
