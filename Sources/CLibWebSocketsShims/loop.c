#define _GNU_SOURCE
#include "internal.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// No pings of the library's own: Engine.IO has its own books of what is alive.
const lws_retry_bo_t clws_no_validity_checks = { .secs_since_valid_ping = 0, .secs_since_valid_hangup = 0 };

const struct lws_protocols clws_protocols[] = {
    { .name = "realtime", .callback = clws_callback, .per_session_data_size = 0, .rx_buffer_size = 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

static void no_log(int level, const char *line)
{
    (void)level;
    (void)line;
}

static void timer_fired(lws_sorted_usec_list_t *timer)
{
    struct clws_loop *loop = lws_container_of(timer, struct clws_loop, timer);
    loop->handlers.timer(loop->owner);
}

// Every context that is created with the global TLS initialisation gives libwebsockets a new process-wide index, under
// which it finds its connection in OpenSSL's structures; handshakes under way in other contexts are then not found and
// fail (seen: "connect SSL err 1" for a good certificate while another loop started). So it must happen once in the
// process, even with several copies of this code loaded: the first to register a name with OpenSSL does it.
static int is_first_in_process(void)
{
    return OBJ_create("2.25.190413972834211347751904", "clws-tls", "libwebsockets TLS initialised") != NID_undef;
}

static struct lws_context *create_context(struct lws_context_creation_info *info, int keeps_tls)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (keeps_tls && is_first_in_process())
        info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    ERR_clear_error();
    struct lws_context *context = lws_create_context(info);
    pthread_mutex_unlock(&lock);
    return context;
}

static int make_descriptors(struct clws_loop *loop)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
        return -1;
    close(pair[1]);
    loop->hung_up = pair[0];
    loop->links = epoll_create1(EPOLL_CLOEXEC);
    return loop->links < 0 ? -1 : 0;
}

struct clws_loop *clws_loop_create(const struct clws_options *options, struct clws_handlers handlers, void *owner)
{
    struct clws_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->handlers = handlers;
    loop->owner = owner;
    loop->keeps_tls = options->keeps_tls;
    loop->links = loop->hung_up = -1;
    if (options->silences_log)
        lws_set_log_level(0, no_log);

    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = clws_protocols;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.user = loop;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    info.timeout_secs = CLWS_LAST_RESORT_SECONDS;
    info.connect_timeout_secs = CLWS_LAST_RESORT_SECONDS;
    info.retry_and_idle_policy = &clws_no_validity_checks;
    if (!make_descriptors(loop))
        loop->context = create_context(&info, options->keeps_tls);
    struct lws_vhost *vhost = loop->context ? clws_vhost_create(loop, "links", 0, NULL) : NULL;
    lws_sock_file_fd_type descriptor;
    descriptor.filefd = loop->links;
    if (vhost
        && lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC, descriptor, clws_protocols[0].name, NULL))
        return loop;
    // A descriptor that was adopted would be the context's to close; here none was.
    if (loop->context)
        lws_context_destroy(loop->context);
    if (loop->links >= 0)
        close(loop->links);
    if (loop->hung_up >= 0)
        close(loop->hung_up);
    free(loop);
    return NULL;
}

void clws_loop_destroy(struct clws_loop *loop)
{
    lws_sul_cancel(&loop->timer);
    for (struct clws_attempt *attempt = loop->attempts; attempt; attempt = attempt->next)
        attempt->connection = NULL;
    // Closes the descriptor of the links, which it adopted.
    lws_context_destroy(loop->context);
    while (loop->attempts) {
        struct clws_attempt *attempt = loop->attempts;
        loop->attempts = attempt->next;
        if (attempt->link)
            clws_link_free(attempt->link);
        free(attempt);
    }
    close(loop->hung_up);
    free(loop);
}

int clws_loop_service(struct clws_loop *loop)
{
    return lws_service(loop->context, 0);
}

void clws_loop_wake(struct clws_loop *loop)
{
    lws_cancel_service(loop->context);
}

void clws_loop_set_timer(struct clws_loop *loop, int64_t microseconds)
{
    if (microseconds < 0)
        lws_sul_cancel(&loop->timer);
    else
        lws_sul_schedule(loop->context, 0, &loop->timer, timer_fired, microseconds);
}

int clws_loop_next_ready(struct clws_loop *loop, uint64_t *number, int *may_read, int *may_write)
{
    if (loop->ready_next == loop->ready_count) {
        // A full batch may not have been all; the descriptor then stays ready, and the library calls again.
        if (loop->ready_count) {
            loop->ready_count = loop->ready_next = 0;
            return 0;
        }
        int count = epoll_wait(loop->links, loop->ready, CLWS_READY_AT_ONCE, 0);
        if (count <= 0)
            return 0;
        loop->ready_count = count;
        loop->ready_next = 0;
    }
    struct epoll_event *event = &loop->ready[loop->ready_next++];
    *number = event->data.u64;
    // An error shows in the read that follows.
    *may_read = (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0;
    *may_write = (event->events & EPOLLOUT) != 0;
    return 1;
}
