/*
 * gateway_channel.h - the contract between a gateway and a channel module.
 *
 * A channel module is a shared library that exports exactly one function, gateway_channel_open(). The host
 * (gateway) calls it once per instance it wants, handing over its own function table, and receives the
 * module's. Nothing is global: any number of instances, of one build or of several, live side by side.
 *
 * Conventions that hold for every function here
 *   Strings    are pointer + length, UTF-8, not zero-terminated. Structured values are one JSON object.
 *   Ownership  bytes passed to a function belong to the caller and are valid only until the function returns;
 *              whoever needs them longer copies them.
 *   Threads    the host may call the module from any thread, also from several at once, and from inside one of
 *              its own callbacks (except shutdown). The module calls the host from threads of its own; the
 *              host's callbacks must return promptly (they run on the thread that serves the sockets) and must
 *              not throw or unwind.
 *   Results    no function waits. A function that takes a `request` number reports later through
 *              host->complete with that number, exactly once per request, unless shutdown came first: requests
 *              still open when shutdown begins are completed with GATEWAY_SHUT_DOWN before it returns.
 *   Versions   both tables begin with abi_version and struct_size. A different abi_version is refused. Within one
 *              version tables only grow, at the end: each side requires the sizes that version began with
 *              (GATEWAY_HOST_SIZE_1, GATEWAY_CHANNEL_SIZE_1), copies the smaller of both sizes, treats what the
 *              other side does not have as absent (NULL), and never writes beyond what the other side has.
 *              gateway_copy_table() does that.
 */
#ifndef GATEWAY_CHANNEL_H
#define GATEWAY_CHANNEL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GATEWAY_ABI_VERSION 1u

/* The one symbol a module exports. */
#define GATEWAY_CHANNEL_OPEN_SYMBOL "gateway_channel_open"

/* A borrowed run of bytes. data may be NULL only if count is 0. */
typedef struct gateway_bytes {
    const uint8_t *data;
    size_t count;
} gateway_bytes;

/* How a request ended (the `code` of complete). On anything but GATEWAY_OK the JSON is
 * {"error": what happened, "where": account/guild/channel/file and key path, "remedy": what to do,
 *  "retryable": bool}. */
enum {
    GATEWAY_OK = 0,
    GATEWAY_INVALID = 1,     /* the request itself is wrong: configuration, JSON, unknown account, missing file */
    GATEWAY_FAILED = 2,      /* tried, and finally refused by the chat system */
    GATEWAY_UNAVAILABLE = 3, /* not now (not running, not connected); the same request may succeed later */
    GATEWAY_SHUT_DOWN = 4    /* the instance is shutting down */
};

/* What deliver answers, and what settle reports, about a delivery. */
enum {
    GATEWAY_DELIVERY_TAKEN = 0,    /* deliver only: received; settle will follow */
    GATEWAY_DELIVERY_ADOPTED = 1,  /* safe with the host: never to be delivered again, even after a crash */
    GATEWAY_DELIVERY_FINISHED = 2, /* adopted, and its turn is over: the lane may go on */
    GATEWAY_DELIVERY_FAILED = 3    /* adopted, and its turn ended in failure: the lane may go on */
};

enum { GATEWAY_LOG_TRACE = 0, GATEWAY_LOG_DEBUG = 1, GATEWAY_LOG_INFO = 2, GATEWAY_LOG_NOTICE = 3,
       GATEWAY_LOG_WARNING = 4, GATEWAY_LOG_ERROR = 5 };

/* The host's side. The module copies the table when it opens. */
typedef struct gateway_host {
    uint32_t abi_version; /* GATEWAY_ABI_VERSION */
    uint32_t struct_size; /* sizeof(gateway_host) as the host was compiled */
    void *context;        /* passed back as the first argument of every callback */

    /* A message for an agent: the delivery JSON of the design, section 9. Called on the module's realtime
     * thread, in order per (account, conversation). Answers TAKEN, ADOPTED or FINISHED. A delivery with
     * "wake": true holds its lane until it is settled FINISHED or FAILED, or its deadline passes. A record-only
     * delivery ("wake": false) needs no more than ADOPTED. Calling any module function but shutdown from inside
     * is allowed. */
    int32_t (*deliver)(void *context, gateway_bytes delivery);

    /* The result of a request. Called on a thread of the module's. */
    void (*complete)(void *context, uint64_t request, int32_t code, gateway_bytes result);

    /* The status of one account changed in a way an operator would care about (lifecycle, connected, reason).
     * The JSON is the same object that status reports for the account. "running": false without a stop_account
     * means that the account ended by itself: "lifecycle":"blocked" is terminal until its settings change or the
     * operator asks, anything else counts as a crash. */
    void (*account_changed)(void *context, gateway_bytes status);

    /* One log record: {"message": ..., "metadata": {...}}. Never contains a secret. Any thread. */
    void (*log)(void *context, int32_t level, gateway_bytes record);
} gateway_host;

/* The module's side. Filled by gateway_channel_open; valid until shutdown returned. */
typedef struct gateway_channel {
    uint32_t abi_version;
    uint32_t struct_size; /* sizeof(gateway_channel) as the module was compiled */
    void *instance;       /* first argument of every call below */
    gateway_bytes id;      /* "fabric"; lives as long as the instance */
    gateway_bytes version; /* semantic version of the build; lives as long as the instance */

    /* Validates and adopts a configuration, whole or not at all. No network. Accounts that run are not touched:
     * the result says which must be restarted to pick up their change. Request:
     *   {"channel":"fabric", "file": absolute path of the configuration file (for messages; "" if none),
     *    "keyPath":"channels.fabric", "directory": base of relative paths, "stateDirectory": absolute path,
     *    "settings": the channel's section}
     * Result: {"configured": bool, "reason": string, "accounts": [{"accountId","enabled","configured",
     *    "credential":"available"|"unavailable"|"missing","source","reason"}],
     *    "added": [id...], "changed": [id...], "removed": [id...]}   (compared with the configuration before)
     * GATEWAY_INVALID: nothing changed; "errors":[...] beside "error" lists every finding. A finding about one
     * account only is not an error: that account is reported configured:false with the reason. */
    void (*configure)(void *instance, uint64_t request, gateway_bytes configuration);

    /* Starts an account and keeps it running until stop_account. Completes when it has been started (not when
     * it is connected: see account_changed). Request: {"accountId": ..., "handover": object from stop_account of
     * another instance, optional}. Starting a running account: GATEWAY_OK, nothing happens. An account that is
     * unconfigured or disabled: GATEWAY_INVALID with the reason. */
    void (*start_account)(void *instance, uint64_t request, gateway_bytes account);

    /* Stops an account within 5 s in every state; nothing of it survives: no socket, timer, callback. Request:
     * {"accountId": ..., "drainSeconds": how long running turns and queued sends may still finish (default 0,
     * at most 5), "handover": bool}. Result: {} or, with handover, {"handover": {...}}: an opaque object for
     * start_account of another instance in the same process, holding sessions, cursors, unsettled deliveries and
     * unsent messages. It contains credentials: keep it in memory, never log or write it. Stopping an account
     * that does not run: GATEWAY_OK. */
    void (*stop_account)(void *instance, uint64_t request, gateway_bytes account);

    /* Sends a message as an account. Request: {"account","to","text","media":[{"path","name","mediaType"}],
     * "replyTo", "delivery"}; to is "fabric:<guild>/<channel>" or "fabric:<channel>"; replyTo, media and delivery
     * are optional. With "delivery" (the id of a wake delivery that is not finished) the message belongs to that
     * turn: with coalescing on its texts become one message, posted when the turn is settled, and a turn that is
     * delivered again after a crash cannot be answered twice. Result: {"messageId","seq"}. */
    void (*send)(void *instance, uint64_t request, gateway_bytes message);

    /* Reports what became of a delivery: delivery is its id, outcome one of GATEWAY_DELIVERY_ADOPTED, FINISHED,
     * FAILED. Unknown ids are ignored (a late report of a turn whose deadline passed). */
    void (*settle)(void *instance, gateway_bytes delivery, int32_t outcome);

    /* Request: {} or {"accountId": ...}. Result: {"version": ..., "accounts": [status...]} as in the design,
     * section 9. */
    void (*status)(void *instance, uint64_t request, gateway_bytes query);

    /* Room to grow without a new ABI. Request: {"command": name, ...}. Known: "deadLetters.list" {accountId?},
     * "deadLetters.resubmit" {id}, "deadLetters.drop" {id}, "account.unblock" {accountId}. Unknown:
     * GATEWAY_INVALID. */
    void (*command)(void *instance, uint64_t request, gateway_bytes command);

    /* Stops everything and frees the instance. Blocks, at most 5 s; afterwards no callback runs, no thread of
     * the instance exists, and the table must not be used. Not from inside a callback. */
    void (*shutdown)(void *instance);
} gateway_channel;

/* What the tables of version 1 began with. These numbers never change: a table that grows keeps them. */
enum {
    GATEWAY_HOST_SIZE_1 = offsetof(gateway_host, log) + sizeof(((gateway_host *)0)->log),
    GATEWAY_CHANNEL_SIZE_1 = offsetof(gateway_channel, shutdown) + sizeof(((gateway_channel *)0)->shutdown)
};

/* Copies a table of from_size bytes (the struct_size the other side states) into a place of to_size bytes: the
 * smaller of both, and zero for the rest of the place, so that a field the other side does not have is NULL. */
static inline void gateway_copy_table(void *to, size_t to_size, const void *from, size_t from_size) {
    size_t both = to_size < from_size ? to_size : from_size;
    memcpy(to, from, both);
    memset((uint8_t *)to + both, 0, to_size - both);
}

/* Opens an instance: starts nothing but its own threads, needs configure before anything else is useful.
 * out->struct_size must be set by the host to the bytes it has there, sizeof(gateway_channel) as it was compiled;
 * the module writes no more than that, and leaves its own size in struct_size: what lies beyond it the module does
 * not have. Returns GATEWAY_OK, or GATEWAY_INVALID with a message copied into error (at most
 * error_capacity bytes, zero-terminated). May be called from any thread; returns within a second. */
int32_t gateway_channel_open(const gateway_host *host, gateway_channel *out, char *error, size_t error_capacity);

typedef int32_t (*gateway_channel_open_function)(const gateway_host *, gateway_channel *, char *, size_t);

#ifdef __cplusplus
}
#endif

#endif
