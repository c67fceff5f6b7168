// The narrow part of libwebsockets that the realtime loop uses, without the macros, bit fields and
// version-dependent structs that Swift should not have to know.
//
// Threads: every function is for the loop's own thread, except `clws_loop_wake`, and except
// `clws_loop_create`, which runs before that thread exists.

#ifndef CLIBWEBSOCKETS_SHIMS_H
#define CLIBWEBSOCKETS_SHIMS_H

#include <stddef.h>
#include <stdint.h>

struct clws_loop;
struct lws;
struct lws_vhost;

// What the library tells about a connection. `connection` is the pointer given to `clws_connect`;
// a connection that was detached hears nothing more.
struct clws_handlers {
    // The socket exists and is about to connect, or the request headers are about to be written
    // (`tls` done, if there is any). Append request headers with `clws_append_header`.
    int (*headers)(void *connection, struct lws *wsi, unsigned char **cursor, unsigned char *end);
    void (*established)(void *connection);
    // A piece of a message; the bytes are the library's, valid for the call. Not 0: close at once.
    int (*received)(void *connection, const void *bytes, size_t count, int flags, size_t remaining);
    // The one place where `clws_write` may be called, once. Not 0: close.
    int (*writable)(void *connection);
    // The peer's close frame: status code (0: none) and its reason text.
    void (*peer_closed)(void *connection, uint16_t code, const void *reason, size_t count);
    // Puts the numeric address that was asked for into `text` (NUL-terminated). 0: the server was asked for by name.
    int (*numeric_host)(void *connection, char *text, size_t capacity);
    // The server's certificate was refused, for this reason; `failed` follows.
    void (*distrusted)(void *connection, const char *words);
    // Last call for a connection that never opened: the library's words, the HTTP status or 0.
    void (*failed)(void *connection, const void *words, size_t count, int status);
    // Last call for a connection that was open.
    void (*closed)(void *connection);
    // The timer set by `clws_loop_set_timer` fired. `owner` is the one given to `clws_loop_create`.
    void (*timer)(void *owner);
};

enum { CLWS_FIRST = 1, CLWS_FINAL = 2, CLWS_BINARY = 4 };

struct clws_options {
    int receive_buffer_bytes;
    int validates_utf8;
    int silences_log;
    int keeps_tls;
};

struct clws_target {
    const char *address;    // numeric address to connect to
    int port;
    int uses_tls;
    const char *path;       // with query
    const char *host;       // Host header, and server name for TLS
    const char *origin;     // NULL: no Origin header
    struct lws_vhost *vhost;
    void *connection;
};

// Bytes that must be free in front of what `clws_write` gets.
int clws_write_headroom(void);

struct clws_loop *clws_loop_create(const struct clws_options *options, struct clws_handlers handlers, void *owner);
void clws_loop_destroy(struct clws_loop *loop);
// One turn: waits for sockets, the timer or a wake, and handles what there is. < 0: the context is dead.
int clws_loop_service(struct clws_loop *loop);
// The only function that other threads may call.
void clws_loop_wake(struct clws_loop *loop);
// Microseconds from now; < 0: no timer.
void clws_loop_set_timer(struct clws_loop *loop, int64_t microseconds);

// A virtual host carries the TLS client context. `authority_file` NULL: the system's authorities.
struct lws_vhost *clws_vhost_create(struct clws_loop *loop, const char *name, int uses_tls, const char *authority_file);

// NULL: failed at once; `failed` may have been called already, and nothing will be called any more.
struct lws *clws_connect(struct clws_loop *loop, const struct clws_target *target);
int clws_append_header(struct lws *wsi, const char *name, const char *value, unsigned char **cursor, unsigned char *end);
void clws_want_write(struct lws *wsi);
// < 0: the connection is broken.
int clws_write(struct lws *wsi, unsigned char *bytes, size_t count, int is_binary);
// Sends a close frame when the connection may write next; returns at once.
void clws_set_close_reason(struct lws *wsi, uint16_t code, const unsigned char *reason, size_t count);
// From here on the connection's handlers are not called.
void clws_detach(struct lws *wsi);
// Ends the connection in the next turn, without a close frame. Legal inside its own callbacks.
void clws_kill(struct lws *wsi);
// 1 once TCP is connected.
int clws_is_tcp_connected(struct lws *wsi);
// Names the calling thread; at most 15 bytes.
void clws_name_thread(const char *name);

#endif
