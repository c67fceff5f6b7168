#ifndef CLWS_INTERNAL_H
#define CLWS_INTERNAL_H

#include "CLibWebSocketsShims.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

enum { CLWS_READY_AT_ONCE = 256 };

// The library's own limits stand far behind ours, so that ours name the phase that took too long.
enum { CLWS_LAST_RESORT_SECONDS = 600 };

struct clws_loop {
    lws_sorted_usec_list_t timer;
    struct lws_context *context;
    struct clws_handlers handlers;
    void *owner;
    int keeps_tls;
    // Links are watched here, and the library watches this one descriptor: its own table of sockets is walked at every
    // turn, and ten thousand quiet ones would cost half a millisecond each time.
    int links;
    // A socket whose peer is gone: takes the number of a socket that was taken from the library.
    int hung_up;
    int ready_count, ready_next;
    struct epoll_event ready[CLWS_READY_AT_ONCE];
    struct clws_attempt *attempts;
};

struct clws_link {
    int fd;
    SSL *ssl;
};

struct clws_attempt {
    struct clws_loop *loop;
    struct lws *wsi;
    // NULL: abandoned, or everything is said.
    void *connection;
    // The connection stands, and is handed over once the library has let go of it.
    struct clws_link *link;
    struct clws_attempt *next, **previous;
};

int clws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count);

extern const struct lws_protocols clws_protocols[];
extern const lws_retry_bo_t clws_no_validity_checks;

// Whether a descriptor is one of the last that the process may have. The system gives the lowest number that is free.
int clws_is_last(int descriptor);
// Takes the connection from under the library's feet; NULL: no descriptor or no memory.
struct clws_link *clws_link_take(struct clws_loop *loop, struct lws *wsi);
// The library has let go of the connection: makes the link usable.
int clws_link_settle(struct clws_link *link);

#endif
