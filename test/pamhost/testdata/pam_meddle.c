/*
 * A PAM module that leaves its host changed, in the way that its argument names: whatever pamhost is to notice.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool leak_descriptor(void)
{
	static int leaked;

	leaked = open("/dev/zero", O_RDONLY);
	return leaked >= 0;
}

static bool close_descriptor(void)
{
	return close(STDIN_FILENO) == 0;
}

static bool replace_descriptor(void)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY);
	bool done = dup2(fd, STDIN_FILENO) == STDIN_FILENO;

	return close(fd) == 0 && done;
}

static bool set_close_on_exec(void)
{
	return fcntl(STDIN_FILENO, F_SETFD, FD_CLOEXEC) == 0;
}

static bool set_nonblocking(void)
{
	return fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) == 0;
}

static bool ignore_signal(void)
{
	struct sigaction action = { .sa_handler = SIG_IGN };

	return sigaction(SIGCHLD, &action, NULL) == 0;
}

static void handler(int signal)
{
	(void)signal;
}

static bool handle_signal(void)
{
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_ONSTACK };

	return sigaction(SIGUSR1, &action, NULL) == 0;
}

static bool leave_signal_pending(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGUSR2) == 0;
}

static bool set_alternate_stack(void)
{
	static char memory[1 << 16];
	const stack_t stack = { .ss_sp = memory, .ss_size = sizeof(memory) };

	return sigaltstack(&stack, NULL) == 0;
}

static bool set_limit(void)
{
	const struct rlimit limit = { 77, 88 };

	return setrlimit(RLIMIT_MSGQUEUE, &limit) == 0;
}

static bool set_environment(void)
{
	return setenv("MEDDLED", "yes", true) == 0;
}

static bool reorder_environment(void)
{
	char *first = environ[0];

	environ[0] = environ[1];
	environ[1] = first;
	return true;
}

static bool change_directory(void)
{
	return chdir("/usr") == 0;
}

static bool change_root(void)
{
	return chroot(".") == 0;
}

static bool unshare_network(void)
{
	return unshare(CLONE_NEWNET) == 0;
}

static void *wait_forever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static bool start_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, wait_forever, NULL) == 0;
}

static bool rename_thread(void)
{
	return prctl(PR_SET_NAME, "meddler") == 0;
}

/* Other threads share the working directory until one of them stops sharing. */
static bool move_other_threads(void)
{
	return chdir("/usr") == 0 && unshare(CLONE_FS) == 0 && chdir("/") == 0;
}

static bool set_real_uid(void)
{
	return setresuid(1000, (uid_t)-1, (uid_t)-1) == 0;
}

static bool set_saved_gid(void)
{
	return setresgid((gid_t)-1, (gid_t)-1, 1000) == 0;
}

static bool add_group(void)
{
	const gid_t group = 1234;

	return setgroups(1, &group) == 0;
}

static bool drop_effective(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, half) < 0)
		return false;
	half[0].effective = 0;
	return syscall(SYS_capset, &header, half) == 0;
}

static bool drop_bounding(void)
{
	return prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT) == 0;
}

static bool set_umask(void)
{
	umask(0123);
	return true;
}

static bool undumpable(void)
{
	return prctl(PR_SET_DUMPABLE, 0) == 0;
}

static bool set_death_signal(void)
{
	return prctl(PR_SET_PDEATHSIG, SIGHUP) == 0;
}

static bool no_new_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static bool keep_capabilities(void)
{
	return prctl(PR_SET_KEEPCAPS, 1) == 0;
}

static bool become_subreaper(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0;
}

static bool be_nice(void)
{
	return setpriority(PRIO_PROCESS, 0, 5) == 0;
}

static bool change_personality(void)
{
	return personality(ADDR_NO_RANDOMIZE) != -1;
}

static bool change_session(void)
{
	return setsid() >= 0;
}

static bool set_alarm(void)
{
	alarm(1000);
	return true;
}

static bool leave_child(void)
{
	pid_t host = getpid(), pid = fork();

	if (pid == 0) {
		/* Ends with the host, also if that has ended before. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == host)
			wait_forever(NULL);
		_exit(0);
	}
	return pid > 0;
}

static bool leave_zombie(void)
{
	siginfo_t info;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0;
}

/* The host is then a child of what it was. */
static bool return_in_child(void)
{
	int status;
	pid_t pid = fork();

	if (pid <= 0)
		return pid == 0;
	_exit(waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

static bool map_file(void)
{
	int fd = open("/bin/true", O_RDONLY);
	bool done = mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED;

	return close(fd) == 0 && done;
}

#define MEDDLING(function) { #function, function }

static const struct {
	const char *name;
	bool (*meddle)(void);
} meddlings[] = {
	MEDDLING(leak_descriptor), MEDDLING(close_descriptor), MEDDLING(replace_descriptor), MEDDLING(set_close_on_exec),
	MEDDLING(set_nonblocking), MEDDLING(ignore_signal), MEDDLING(handle_signal), MEDDLING(leave_signal_pending),
	MEDDLING(set_alternate_stack), MEDDLING(set_limit), MEDDLING(set_environment), MEDDLING(reorder_environment),
	MEDDLING(change_directory), MEDDLING(change_root), MEDDLING(unshare_network), MEDDLING(start_thread),
	MEDDLING(rename_thread), MEDDLING(move_other_threads), MEDDLING(set_real_uid), MEDDLING(set_saved_gid),
	MEDDLING(add_group), MEDDLING(drop_effective), MEDDLING(drop_bounding), MEDDLING(set_umask), MEDDLING(undumpable),
	MEDDLING(set_death_signal), MEDDLING(no_new_privileges), MEDDLING(keep_capabilities), MEDDLING(become_subreaper),
	MEDDLING(be_nice), MEDDLING(change_personality), MEDDLING(change_session), MEDDLING(set_alarm), MEDDLING(leave_child),
	MEDDLING(leave_zombie), MEDDLING(return_in_child), MEDDLING(map_file),
};

int pam_sm_open_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	size_t i;

	(void)pamh;
	(void)flags;
	for (i = 0; argc == 1 && i < sizeof(meddlings) / sizeof(meddlings[0]); i++)
		if (strcmp(argv[0], meddlings[i].name) == 0)
			return meddlings[i].meddle() ? PAM_SUCCESS : PAM_SESSION_ERR;
	return PAM_SERVICE_ERR;
}

int pam_sm_close_session(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
	(void)pamh;
	(void)flags;
	(void)argc;
	(void)argv;
	return PAM_SUCCESS;
}
