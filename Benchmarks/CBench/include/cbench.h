/* The C side of the benchmarks: a server that is never the bottleneck, the bare client that is the reference, and the
 * host callbacks that count. Not part of the product. */
#ifndef CBENCH_H
#define CBENCH_H

#include <stddef.h>
#include <stdint.h>

#include "gateway_channel.h"

/* ---- the feed: HTTP routes with fixed answers, and a WebSocket that sends ready-made bytes ---- */

typedef struct feed feed;

/* Listens on a free port of 127.0.0.1. login and channels are the JSON bodies of the routes /api/auth/agent/login and
 * /api/channels. With a certificate and its key (PEM files) everything is over TLS. */
feed *feed_start(const char *login, const char *channels, const char *certificate, const char *key);
int feed_port(const feed *f);
/* Replaces the answer to a login, which names the port. Before the first connection. */
void feed_set_login(feed *f, const char *login);
/* Makes the bytes to send: count text frames, each prefix + the number (from first) + suffix. */
void feed_prepare(feed *f, const char *prefix, const char *suffix, int64_t first, int64_t count);
/* How many messages may be on their way beyond those that were counted; 0: any number. */
void feed_set_window(feed *f, int64_t messages);
/* Sends the prepared bytes on every WebSocket that joined a channel (or, bare, connected), in blocks. */
void feed_go(feed *f);
void feed_stop(feed *f);

/* ---- the bare client: a reader of its own, looks at every frame and counts it, nothing else ---- */

/* Connects (over TLS if asked to, unverified), waits for the frames and returns the CPU seconds of its thread from the
 * first to the last; < 0: failed. Every frame's text is checked to be UTF-8, as a client must. */
double bare_client_run(int port, int64_t frames, feed *f, int uses_tls);

/* ---- idle connections of libwebsockets ---- */

/* Opens connections that do nothing but answer pings, keeps them for as long as the process lives, and returns how many
 * are open. */
int idle_client_open(int port, int connections);

/* ---- the counting host ---- */

/* Resets the count; the CPU clock of the delivering thread is read at the first and at the last of `expected`. */
void count_reset(int64_t expected);
/* For the host table: counts and adopts. */
int32_t count_deliver(void *context, gateway_bytes delivery);
/* Waits for the last; CPU seconds of the delivering thread between first and last, < 0 after timeout_seconds. */
double count_wait(double timeout_seconds);
int64_t count_so_far(void);

/* ---- the bare SQLite loop ---- */

/* Writes messages in transactions of `batch` into a new file; CPU and wall seconds of it. 0: it failed. */
int sqlite_loop(
    const char *path, int64_t messages, int batch, const char *message, int message_length, double *cpu, double *wall);

#endif
