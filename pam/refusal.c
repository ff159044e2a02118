/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "refusal.h"

#include <sched.h>
#include <security/pam_ext.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

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
