/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "module.h"

const struct module pamnet_modules[KINDS] = {
	[KIND_NEWNET] = { "pam_newnet", "newnet", KIND_NEWNET },
	[KIND_USERNET] = { "pam_usernet", "usernet", KIND_USERNET },
	[KIND_GROUPNET] = { "pam_groupnet", "groupnet", KIND_GROUPNET },
};
