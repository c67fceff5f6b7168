#define _GNU_SOURCE
#include "gateway_system.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int gateway_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int gateway_replace(int descriptor, int other) { return dup3(other, descriptor, O_CLOEXEC) < 0 ? -1 : 0; }

int gateway_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

int gateway_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK); }

int gateway_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int gateway_spawn_close_from(posix_spawn_file_actions_t *actions, int from) {
    return posix_spawn_file_actions_addclosefrom_np(actions, from);
}

int gateway_spawn_directory(posix_spawn_file_actions_t *actions, const char *directory) {
    return posix_spawn_file_actions_addchdir_np(actions, directory);
}

int gateway_reap(pid_t pid, int *code, int *signal) {
    int status = 0;
    pid_t reaped;
    do {
        reaped = waitpid(pid, &status, WNOHANG);
    } while (reaped < 0 && errno == EINTR);
    if (reaped <= 0) return (int)reaped;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return 1;
}

const char *gateway_loaded_path(void *handle) {
    struct link_map *map = NULL;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map) != 0 || map == NULL) return NULL;
    return map->l_name;
}

int gateway_open(const char *path, int flags, mode_t mode) { return open(path, flags | O_CLOEXEC, mode); }
