/* The few calls of Linux that Swift's Glibc module does not show (GNU extensions, macros). No logic. */
#ifndef GATEWAY_SYSTEM_H
#define GATEWAY_SYSTEM_H

#include <spawn.h>
#include <sys/types.h>

/* pipe2 with O_CLOEXEC. Returns 0 or -1 with errno. */
int gateway_pipe(int ends[2]);

/* dup3 with O_CLOEXEC: descriptor becomes what other is, in one step. Returns 0 or -1 with errno. */
int gateway_replace(int descriptor, int other);

/* eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK). Returns the descriptor or -1 with errno. */
int gateway_eventfd(void);

/* accept4 with SOCK_CLOEXEC | SOCK_NONBLOCK. Returns the descriptor or -1 with errno. */
int gateway_accept(int listener);

/* pidfd_open. Returns the descriptor or -1 with errno. */
int gateway_pidfd(pid_t pid);

/* posix_spawn_file_actions_addclosefrom_np. Returns 0 or an errno value. */
int gateway_spawn_close_from(posix_spawn_file_actions_t *actions, int from);

/* posix_spawn_file_actions_addchdir_np. Returns 0 or an errno value. */
int gateway_spawn_directory(posix_spawn_file_actions_t *actions, const char *directory);

/* Reaps an exited child without waiting. Returns 1 when reaped, 0 when it still runs, -1 with errno.
 * code is the exit status; signal is 0, or the signal that ended it. */
int gateway_reap(pid_t pid, int *code, int *signal);

/* The path under which the loader knows a handle of dlopen, or NULL. Owned by the loader. */
const char *gateway_loaded_path(void *handle);

/* open with a mode (variadic in C). Adds O_CLOEXEC. Returns the descriptor or -1 with errno. */
int gateway_open(const char *path, int flags, mode_t mode);

#endif
