/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "refusal.h"

#include <linux/capability.h>
#include <sched.h>
#include <security/pam_ext.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

/* The capabilities that a member's session needs. */
static const struct {
	int number;
	const char *name;
} capabilities[] = {
	{ CAP_SYS_PTRACE, "CAP_SYS_PTRACE" }, /* to see PID 1's namespaces */
	{ CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
	{ CAP_SYS_CHROOT, "CAP_SYS_CHROOT" },
	{ CAP_NET_ADMIN, "CAP_NET_ADMIN" }, /* to bring up lo */
};

void refusal_add_missing_capabilities(char *reason, size_t size)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	char missing[80];
	size_t n = 0, end = strlen(reason);

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		int c = capabilities[i].number;

		if (!(data[CAP_TO_INDEX(c)].effective & CAP_TO_MASK(c)))
			n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "",
					      capabilities[i].name);
	}
	if (n)
		snprintf(reason + end, size - end,
			 "; the login service lacks %s: add that to CapabilityBoundingSet= of its unit", missing);
}

void refusal_enter_empty_network(pam_handle_t *pamh)
{
	if (unshare(CLONE_NEWNET) < 0)
		pam_syslog(pamh, LOG_ERR, "refusal=empty: the login process stays in its network: unshare: %m");
	else if (syscall(SYS_gettid) == getpid())
		pam_syslog(pamh, LOG_WARNING, "refusal=empty: the login process is in an empty network now");
	else
		pam_syslog(pamh, LOG_WARNING, "refusal=empty: this thread is in an empty network now, "
			   "and no other thread of the login service");
}
