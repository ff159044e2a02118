/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything here runs in the login process and in the child. */
#define _GNU_SOURCE
#include "reason.h"

#include <linux/capability.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
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

bool fail(char reason[REASON_MAX], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(reason, REASON_MAX, format, args);
	va_end(args);
	return false;
}

void fail_also(char reason[REASON_MAX], const char *format, ...)
{
	size_t n = strlen(reason);
	va_list args;

	va_start(args, format);
	vsnprintf(reason + n, REASON_MAX - n, format, args);
	va_end(args);
}

void add_missing_capabilities(char reason[REASON_MAX])
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	char missing[80];
	size_t n = 0;

	if (syscall(SYS_capget, &header, data) < 0)
		return;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++) {
		int c = capabilities[i].number;

		if (!(data[CAP_TO_INDEX(c)].effective & CAP_TO_MASK(c)))
			n += (size_t)snprintf(missing + n, sizeof(missing) - n, "%s%s", n ? ", " : "",
					      capabilities[i].name);
	}
	if (n)
		fail_also(reason, "; the login service lacks %s: add that to CapabilityBoundingSet= of its unit",
			  missing);
}
