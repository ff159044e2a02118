/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the user of su or sudo may have set for the child. Everything here runs in the child. */
#define _GNU_SOURCE
#include "child.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_TIMER_SLACK_NS 50000UL /* the kernel's own */

/* Writes to a file of /proc; a zero length clears an attribute of SELinux. */
static void overwrite(const char *path, const char *text, size_t length)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, length) < 0) {
		/* No security module, or no CAP_SYS_RESOURCE. */
	}
	close(fd);
}

void child_detach(void)
{
	/* Security contexts that pam_selinux(8) has requested for the user's shell. */
	static const char attributes[][40] = {
		"/proc/thread-self/attr/exec",
		"/proc/thread-self/attr/fscreate",
		"/proc/thread-self/attr/keycreate",
		"/proc/thread-self/attr/sockcreate",
	};
	const struct sched_param ordinary = { .sched_priority = 0 };
	struct rlimit core = { 0, RLIM_INFINITY };
	unsigned long all_cpus[128]; /* 8192: as many as Linux can have */

	sched_setscheduler(0, SCHED_OTHER, &ordinary);
	setpriority(PRIO_PROCESS, 0, 0);
	memset(all_cpus, 0xff, sizeof(all_cpus));
	syscall(SYS_sched_setaffinity, 0, sizeof(all_cpus), all_cpus);
	syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, 0, 0 /* none */);
	/* By how much the kernel may lengthen a sleep. 0 would be what the caller had (prctl(2)). */
	prctl(PR_SET_TIMERSLACK, DEFAULT_TIMER_SLACK_NS);
	if (setrlimit(RLIMIT_CORE, &core) < 0 && getrlimit(RLIMIT_CORE, &core) == 0) {
		core.rlim_cur = 0;
		setrlimit(RLIMIT_CORE, &core);
	}
	overwrite("/proc/self/oom_score_adj", "0", 1);
	for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++)
		overwrite(attributes[i], "", 0);
}

/* Makes the system calls itself: glibc before 2.34 has timer_create(3) in a library of its own. */
void child_end_after(unsigned int seconds)
{
	struct sigevent kill = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL };
	const struct itimerspec once = { .it_value = { .tv_sec = seconds } };
	int timer;

	if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &kill, &timer) < 0 ||
	    syscall(SYS_timer_settime, timer, 0, &once, NULL) < 0)
		alarm(seconds); /* RLIMIT_SIGPENDING leaves no timer. A stopped process outlives the alarm. */
}
