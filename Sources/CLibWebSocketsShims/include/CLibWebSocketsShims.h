// What the realtime loop needs of libwebsockets and OpenSSL, without the macros, bit fields and version-dependent structs
// that Swift should not have to know.
//
// libwebsockets makes the connections (TCP, TLS with verification) and runs the loop. A connection that stands is taken
// from it as a `clws_link`; from the first byte of the upgrade on, reading and writing are ours.
//
// Threads: every function is for the loop's own thread, except `clws_loop_wake`, and except `clws_loop_create`, which
// runs before that thread exists.

#ifndef CLIBWEBSOCKETS_SHIMS_H
#define CLIBWEBSOCKETS_SHIMS_H

#include <stddef.h>
#include <stdint.h>

struct clws_loop;
// A connection on its way; the library's until one of the last calls.
struct clws_attempt;
// A connection that stands: a socket, perhaps with TLS, verified.
struct clws_link;
struct lws_vhost;

// What is told about an attempt. `connection` is the pointer given to `clws_connect`; an attempt that was abandoned says
// nothing more.
struct clws_handlers {
    // Last call of an attempt that succeeded; the link belongs to the callee.
    void (*connected)(void *connection, struct clws_link *link);
    // Puts the numeric address that was asked for into `text` (NUL-terminated). 0: the server was asked for by name.
    int (*numeric_host)(void *connection, char *text, size_t capacity);
    // The server's certificate was refused, for this reason; `failed` follows.
    void (*distrusted)(void *connection, const char *words);
    // Last call of an attempt that failed: what the library says about it.
    void (*failed)(void *connection, const void *words, size_t count);
    // Links are ready: see `clws_loop_next_ready`. `owner` is the one given to `clws_loop_create`.
    void (*ready)(void *owner);
    // The timer set by `clws_loop_set_timer` fired.
    void (*timer)(void *owner);
};

struct clws_options {
    int silences_log;
    int keeps_tls;
};

struct clws_target {
    const char *address;    // numeric address to connect to
    int port;
    int uses_tls;
    const char *host;       // server name for TLS
    struct lws_vhost *vhost;
    void *connection;
};

// ---- The loop

struct clws_loop *clws_loop_create(const struct clws_options *options, struct clws_handlers handlers, void *owner);
void clws_loop_destroy(struct clws_loop *loop);
// One turn: waits for sockets, the timer or a wake, and handles what there is. < 0: the context is dead.
int clws_loop_service(struct clws_loop *loop);
// The only function that other threads may call.
void clws_loop_wake(struct clws_loop *loop);
// Microseconds from now; < 0: no timer.
void clws_loop_set_timer(struct clws_loop *loop, int64_t microseconds);
// The next link of those that are ready now: 1 and its number; 0: that was all. For the `ready` callback.
int clws_loop_next_ready(struct clws_loop *loop, uint64_t *number, int *may_read, int *may_write);

// ---- Connecting

// A virtual host carries the TLS client context. `authority_file` NULL: the system's authorities.
struct lws_vhost *clws_vhost_create(struct clws_loop *loop, const char *name, int uses_tls, const char *authority_file);
// NULL: failed at once; `failed` may have been called already, and nothing will be called any more.
struct clws_attempt *clws_connect(struct clws_loop *loop, const struct clws_target *target);
// Ends the attempt; it says nothing from here on.
void clws_abandon(struct clws_attempt *attempt);
// 1 once TCP is connected.
int clws_is_tcp_connected(struct clws_attempt *attempt);

// ---- A link

enum { CLWS_END = 0, CLWS_WOULD_BLOCK = -1, CLWS_BROKEN = -2 };

// Has the loop watch the link, under a number that names it in `clws_loop_next_ready`. < 0: the system refused.
int clws_link_watch(struct clws_loop *loop, struct clws_link *link, uint64_t number);
// Whether the loop also tells when the link can be written. < 0: the system refused.
int clws_link_watch_writing(struct clws_loop *loop, struct clws_link *link, uint64_t number, int wanted);
// Bytes read (> 0), or one of the above. Afterwards `clws_link_pending` tells whether the link may hold more that the
// system knows nothing of.
ptrdiff_t clws_link_read(struct clws_link *link, void *bytes, size_t capacity);
int clws_link_pending(struct clws_link *link);
// Bytes written (> 0), or one of the above.
ptrdiff_t clws_link_write(struct clws_link *link, const void *bytes, size_t count);
// Tells the peer that nothing more will be written; reading goes on.
void clws_link_finish_writing(struct clws_link *link);
// Closes it.
void clws_link_free(struct clws_link *link);

// ---- Small things

// Sec-WebSocket-Accept for a Sec-WebSocket-Key: 28 characters and a NUL. < 0: no memory.
int clws_accept_for(const char *key, char accept[29]);

#endif
