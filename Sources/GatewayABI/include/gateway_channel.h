/*
 * gateway_channel.h - the contract between a gateway and a channel module.
 *
 * A channel module is a shared library that makes accounts of a chat system work: it hears messages and hands them
 * to the host (the gateway) as deliveries, and posts what the host sends. It exports exactly one function,
 * gateway_channel_open(). The host calls it once per instance it wants, handing over its own function table, and
 * receives the module's. Nothing is global: any number of instances, of one build or of several, live side by side.
 * This header is the whole contract; Examples/ has a host in C and one in Python.
 *
 * 1. Conventions that hold for every function here
 *
 *   Strings    are pointer + length, UTF-8, not zero-terminated. Structured values are one JSON object. Fields that
 *              are not named here may appear in any object, and are ignored by who does not know them. A field that
 *              is absent says nothing: neither good nor bad.
 *   Ownership  bytes passed to a function belong to the caller and are valid only until the function returns;
 *              whoever needs them longer copies them.
 *   Threads    the host may call the module from any thread, also from several at once, and from inside one of
 *              its own callbacks (except shutdown). The module calls the host from threads of its own; complete and
 *              log may also come inside a call of the host's, so hold no lock there that they take. The host's
 *              callbacks must return promptly (deliver runs on the thread that serves all sockets) and must not
 *              throw or unwind.
 *   Results    no function waits, but open and shutdown. A function that takes a `request` number (any number the
 *              host likes) reports later through host->complete with that number, exactly once per request; it may
 *              do so before the function returned. Requests that are open when shutdown begins are completed with
 *              GATEWAY_SHUT_DOWN before shutdown returns.
 *   Order      the module takes requests and settles in the order of the calls where these are made one after the
 *              other (by one thread, or by several that see to it). They may complete in any order.
 *   Accounts   an account is named by "accountId" in every object; requests may also call it "account", as
 *              deliveries do. If both are given they must be equal.
 *   Versions   both tables begin with abi_version and struct_size. A different abi_version is refused. Within one
 *              version tables only grow, at the end: each side requires the sizes that version began with
 *              (GATEWAY_HOST_SIZE_1, GATEWAY_CHANNEL_SIZE_1), copies the smaller of both sizes, treats what the
 *              other side does not have as absent (NULL), and never writes beyond what the other side has.
 *              gateway_copy_table() does that.
 *   Secrets    are in the configuration and in hand-overs, and in nothing else: not in results, status or log records.
 *
 * 2. The life of an instance
 *
 *     gateway_channel_open -> configure -> start_account ... stop_account -> shutdown
 *
 *   configure may be called again at any time, with the same instance's accounts running. After stop_account
 *   completed, nothing more comes of that account: no delivery, no account_changed. After shutdown returned, nothing
 *   comes at all. One account must never run in two instances, or two processes, at once.
 *   The library itself must stay loaded: dlclose() of a module written in Swift is not possible. To load another
 *   build, load a copy of it under a path that was not loaded before, open an instance of that, move the accounts one
 *   by one (stop_account with "handover" in the old, start_account with it in the new), shut the old one down.
 *
 * 3. The life of a delivery
 *
 *   deliver hands a message to the host: {
 *     "delivery": id, unique, and the same whenever this message is delivered again to this account,
 *     "account": id, "channel": the module's id,
 *     "self": {"userId": who the account is in the chat system, "username": what it is called there, if known}; absent
 *             until the account has logged in,
 *     "wake": true: an agent is meant to take a turn; false: only for the record,
 *     "caughtUp": true: it was posted while the account was away, and read from history,
 *     "redelivered": true: it may have been delivered before (a crash, a hand-over); the same id came, or may have come,
 *     "attempt": 1 for the first delivery, one more each time it is delivered again; absent: unknown,
 *     "conversation": {"id": what send takes as "to", "guild", "channel", "name", "type": "direct" | "group",
 *                      "xType": the chat system's own word},
 *     "message": {"id", "seq": its position in the conversation, absent if the chat system has none, "text",
 *                 "author": {"id", "isAgent": true for an author known to be an agent, "name": what the author is
 *                            called, where the chat system says it}, "createdAt": ISO 8601,
 *                 "replyTo": id of the message it answers, absent if none, "mentions": [user id...]},
 *     "media": [{"path", "name", "mediaType", "bytes"}]   files of a delivery that wakes, already on this machine,
 *     "mediaFailed": [{"name", "error"}]   files that could not be fetched; absent if none,
 *     "attachments": the chat system's own list, of a delivery for the record; its files are not fetched }
 *
 *   Deliveries of one account and conversation come one after the other in the order of the conversation; different
 *   conversations are independent. One that wakes ("a turn") holds its conversation: the next comes when it is
 *   settled FINISHED or FAILED, or when the turn's deadline passes (half an hour, unless the channel's settings say
 *   otherwise). The host answers:
 *     TAKEN      received, settle will follow. Until it is settled ADOPTED or more it is delivered again after a crash.
 *     ADOPTED    safe with the host: it is never delivered again, not even after a crash. A turn goes on until it is
 *                settled; for the record there is nothing more to say.
 *     FINISHED   adopted, and its turn is over.
 *   settle reports the same later, and FAILED. Unknown ids, and ids settled before, are ignored.
 *
 *   The host must be ready for the same id again at any time, and not run its agent twice for it: while the turn is
 *   under way it answers TAKEN and settles once at the end, as always; if it is over it answers FINISHED.
 *
 *   The files of "media" belong to the module. They stay until the turn is settled FINISHED or FAILED, or until its
 *   deadline passed, also across a hand-over; who wants one longer copies it. They may be named in a send of that turn.
 *
 * 4. Sending, and the answer of a turn
 *
 *   send without "delivery" posts one message, and completes when it was posted or never will be. That may take as
 *   long as the chat system is away: there is no time limit.
 *
 *   send WITH "delivery" DOES NOT COMPLETE BEFORE THE TURN IS SETTLED, if the channel joins the texts of a turn (the
 *   usual setting). Do not wait for it and then settle: that waits for ever. To answer:
 *
 *       channel.send(instance, request, {"account", "to", "text", "delivery"});   any number of them, in order
 *       channel.settle(instance, delivery, GATEWAY_DELIVERY_FINISHED);            at once, not in complete()
 *
 *   The texts of a turn to one conversation become one message, with an empty line between them, posted when the turn
 *   is settled FINISHED. All its sends then complete with the same result. A turn that is settled FAILED discards
 *   what was not yet posted; these sends complete with GATEWAY_FAILED. A turn whose deadline passes counts as FINISHED
 *   with what was said so far; a send that names it later is posted by itself. A turn that says nothing posts
 *   nothing, but what the conversation needs to go on (in a rotation, that it passes).
 *   The message of a turn is posted once, however often the turn is delivered and answered again with the same texts.
 *
 *   Files named in "media" are linked or copied by the module before it accepts the send, so that an upload may take
 *   its time. Keep them unchanged until complete came for that send, then remove them; the turn's own files need
 *   nothing. A file that cannot be read: GATEWAY_INVALID at once.
 *
 *   An accepted message survives a stop, a hand-over and a crash, and is posted when its account runs again. Its send
 *   then completes with GATEWAY_UNAVAILABLE or GATEWAY_SHUT_DOWN and "retryable": false: do not send it again. What
 *   can be sent again says "retryable": true. What the chat system refuses for good is kept as a dead letter, except a
 *   send without "delivery" that is refused at the first attempt: it completes with GATEWAY_FAILED, and nothing is kept.
 *
 * 5. What came later: capabilities, and tools
 *
 *   Both sides say in `configure` what they can do beyond the above, as "capabilities": [word...], the host in the
 *   request, the module in the result. Who says nothing can nothing of it. Unknown words are ignored.
 *
 *   "tools" (module): what an agent can do in its guilds besides answering. All of it are `command`s:
 *
 *     tools.list {"account"?}   gives {"tools": [{"name", "title", "description", "inputSchema": JSON Schema of the
 *       arguments, "readOnly": it changes nothing, "destructive": it replaces or removes something}]}
 *     tools.call {"account", "tool": name, "arguments": object, "callId": any text, one call at a time under it,
 *       "delivery": the turn in which the agent calls, optional, "scope": "conversation", optional,
 *       "filesBelow": [absolute directory...], optional, "timeoutSeconds": optional, 60, at most 600}
 *       gives {"ok": true, "result": any JSON}
 *       or    {"ok": false, "error": {"code", "message": what failed, where, and what helps,
 *              "argument": the one that is wrong, absent if it is none, "retryable": whether the same call may
 *              succeed if it is made again, "done": what was done before it failed, absent if nothing}}
 *       Both are GATEWAY_OK: they are for the agent to read. GATEWAY_INVALID is a request without account, tool or callId.
 *     tools.cancel {"account", "callId"}   gives {"cancelled": whether such a call was under way}; the call is answered
 *       with the code "cancelled".
 *
 *   A tool acts as the account it is called for, and as no other; there is no argument for it. Names of arguments are
 *   in camel case (guildNodeId); snake case (guild_node_id) is taken as well. With "delivery" the conversation of that
 *   turn stands for an argument "channelId" that is left out, what is fetched goes with the turn, a message posted
 *   there counts as the turn's answer, and after the turn has ended every call is refused ("turn_over"). With "scope":
 *   "conversation" what others wrote may be read in the turn's own conversation only ("other_conversation").
 *   With "filesBelow" it may send files that lie below one of these directories or were fetched for the turn, no others.
 *   Codes: unknown_tool, invalid_argument, not_member, not_found, channel_closed, refused, not_configured, turn_over,
 *   other_conversation, unavailable, busy, half_done, unknown_outcome, timeout, cancelled, failed.
 *   "presence" (module): presence.set {"account", "state": "idle" | "working" | "busy" | "offline"} says what the agent
 *   does; the module tells every guild, each at most every 30 s, and the last state counts. A host that says
 *   "presence" will report: the module then says idle when the account starts, and offline when it stops.
 *
 *   "commands" (module): commands.sync {"account"?, "commands": [{"name", "description", "arguments"?: any JSON}]} says
 *   which slash commands there are, in the place of those of the last call for that account (or for all). The guilds are
 *   told, where the channel has their key. A message that wakes and is one of them ("/name rest", mentions before it
 *   aside) has "command": {"name", "arguments": the rest as text}; any other text is only text. If one is named "stop",
 *   a "/stop" that comes while a turn of its conversation runs does not wait for its end: it is delivered at once, with
 *   "wake": false and "command".
 *
 *   "changes" (both): to a host that says it, the module delivers what happened to a conversation, in order with
 *   its messages: {"delivery", "account", "channel", "kind", "wake": false, "conversation", ...} with the kinds
 *     "message.updated"   "message": {"id", "text": the new one if the chat system says it}, "user"
 *     "message.deleted"   "message": {"id"}, "user"
 *     "canvas.updated"    "canvas": as the chat system gives it, "user"; "canvas.removed"
 *     "membership"        "joined": whether the account is in the conversation now
 *   A delivery without "kind" is a message. Changes are not kept: what happens while the account is away is not told,
 *   what is answered does not matter, and nothing is settled. The account's own changes are not told.
 *
 *   "history" (module): history.set {"account", "messages": at most 200, 0 for none, "maximumBytes": of JSON} asks for what
 *   was said last, as long as the instance lives: deliveries that wake have "history": [{"id", "seq", "text", "author": {"id", "name"?}, "createdAt"}...], the
 *   messages before this one, oldest first, as they read now: edited ones changed, deleted ones left out. They are read once for a conversation and then kept from what passes by.
 *
 *   "sharing" (module): several gateways may share one store, and with it their accounts; each account is run by one of
 *   them at a time. A host needs nothing for it: it starts all its accounts, and those that another gateway runs are on
 *   standby here: "running": true, "connected": false, "lifecycle": "standby", and a "reason" that names the gateway that
 *   runs them ("gateway gw-2 runs it"). That is neither a failure nor a start that takes long: leave them alone. They
 *   begin here by themselves when their turn comes, and go back to standby when another gateway is to have them.
 *   start_account completes at once. send, tools.call, channels.list and commands about the dead letters of one on standby
 *   end with GATEWAY_UNAVAILABLE, retryable, and name the gateway to ask. A stop_account that is followed by a
 *   start_account within a second keeps the account here; with a hand-over it goes to the other instance of this gateway and
 *   to nobody else. A send that names a delivery which another gateway has had since ends with GATEWAY_UNAVAILABLE, not
 *   retryable: keep the answer for the case that the delivery comes again. A delivery that comes to another gateway is
 *   marked as after a crash. configure refuses another store, or another name of the gateway, while the instance lives.
 *     sharing.status gives {"sharing": false} where the store is this gateway's own, else {"sharing": true, "gateway": its
 *       name, "member": the instance's, "draining", "owned": accounts that are leased to it, "unowned": accounts that nobody
 *       runs, "database": {"answers", "refuses": it answers, and does not let this gateway work, "since": time,
 *       "problem", "place", "schema", "clockDifferenceSeconds": how far it is ahead}, "namesakes": other processes that
 *       call themselves by this gateway's name, which is a mistake,
 *       "lease": {"remainingSeconds", "leaseSeconds", "beatSeconds"}, "members": [{"gateway", "member", "this", "host",
 *       "pid", "version", "weight", "owned", "wanted", "draining", "secondsSinceBeat", "sameSettings",
 *       "settingsDigest", "differingSettings": [key...]}], "accounts": [{"accountId", "here", "gateway": who runs it, null if
 *       nobody or not known, "nobody": whether it is known that nobody does,
 *       "state": "running" | "stopping" | "standby", "reason"}]}; numbers that are not known are null
 *     sharing.drain {"withinSeconds": 0 to 86400, 60 if left out} gives back every account, in good order, and takes none;
 *       completes when other gateways run them all: {"drained": true, "left": []}, or when the time is over: {"drained":
 *       false, "left": [id...]: still here, or run by nobody yet}, and goes on. GATEWAY_UNAVAILABLE, and nothing happens,
 *       if no other gateway is there to take them or the database does not answer.
 *     sharing.undrain gives {}: it takes its share again.
 *
 *   Deliveries of this module may further have: conversation.purpose and conversation.onDuty, where the chat system
 *   tells; message.author.isSystem, true for what the chat system itself wrote; "instructions", what the agent is to be
 *   told in this conversation; and "fileId" in each entry of "attachments", which fabric-file-download takes.
 *
 *   stop_account lets calls that are under way finish within its drainSeconds; what is left is answered "unavailable".
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
 *  "retryable": whether the same request may succeed if made again}. */
enum {
    GATEWAY_OK = 0,
    GATEWAY_INVALID = 1,     /* the request itself is wrong: configuration, JSON, unknown account, missing file */
    GATEWAY_FAILED = 2,      /* tried, and finally refused by the chat system; or of a turn that failed */
    GATEWAY_UNAVAILABLE = 3, /* not now (not running, not connected); "retryable" says whether to ask again */
    GATEWAY_SHUT_DOWN = 4    /* the instance is shutting down */
};

/* What deliver answers, and what settle reports, about a delivery: see 3. */
enum {
    GATEWAY_DELIVERY_TAKEN = 0,    /* deliver only: received; settle will follow */
    GATEWAY_DELIVERY_ADOPTED = 1,  /* safe with the host: never to be delivered again, even after a crash */
    GATEWAY_DELIVERY_FINISHED = 2, /* adopted, and its turn is over: the conversation goes on */
    GATEWAY_DELIVERY_FAILED = 3    /* settle only: adopted, its turn failed and says nothing; the conversation goes on */
};

enum { GATEWAY_LOG_TRACE = 0, GATEWAY_LOG_DEBUG = 1, GATEWAY_LOG_INFO = 2, GATEWAY_LOG_NOTICE = 3,
       GATEWAY_LOG_WARNING = 4, GATEWAY_LOG_ERROR = 5 };

/* The host's side. The module copies the table when it opens. None of the functions of version 1 may be NULL. */
typedef struct gateway_host {
    uint32_t abi_version; /* GATEWAY_ABI_VERSION */
    uint32_t struct_size; /* sizeof(gateway_host) as the host was compiled */
    void *context;        /* passed back as the first argument of every callback */

    /* A message: the object of 3. Called on the module's realtime thread. Answers TAKEN, ADOPTED or FINISHED. Calling
     * any module function but shutdown from inside is allowed. May come before complete does for start_account. */
    int32_t (*deliver)(void *context, gateway_bytes delivery);

    /* The result of a request. Called on a thread of the module's, or inside the call that made the request. */
    void (*complete)(void *context, uint64_t request, int32_t code, gateway_bytes result);

    /* The status of one account changed in a way an operator would care about (lifecycle, connected, reason).
     * The JSON is the same object that status reports for the account. "running": false without a stop_account
     * means that the account ended by itself: "lifecycle":"blocked" is terminal until its settings change or the
     * operator asks, anything else counts as a crash. */
    void (*account_changed)(void *context, gateway_bytes status);

    /* One log record: {"message": ..., "metadata": {name: text...}}. Any thread. */
    void (*log)(void *context, int32_t level, gateway_bytes record);

    /* What is true for the moment only, see 5: {"account", "kind": "typing" | "presence", "user": id, "conversation": as
     * in a delivery, of what concerns one, "status": of a presence, "event": what the chat system said}. Called on the
     * module's realtime thread; nothing is repeated or kept. May be NULL; came later than the functions above. */
    void (*passing)(void *context, gateway_bytes event);
} gateway_host;

/* The module's side. Filled by gateway_channel_open; valid until shutdown returned. */
typedef struct gateway_channel {
    uint32_t abi_version;
    uint32_t struct_size; /* sizeof(gateway_channel) as the module was compiled */
    void *instance;       /* first argument of every call below */
    gateway_bytes id;      /* "fabric"; lives as long as the instance */
    gateway_bytes version; /* semantic version of the build; lives as long as the instance */

    /* Validates and adopts a configuration, whole or not at all. No network. It stops and starts no account, and
     * touches no session of one that did not change; the result says which accounts must be restarted (stop_account,
     * start_account) to pick up their change, and which have picked it up already. Request:
     *   {"channel": the module's id, "file": absolute path of the configuration file (for messages; "" if none),
     *    "keyPath": where in it the section stands (for messages), "directory": base of relative paths,
     *    "logLevel": what the host shows, optional ("trace" | "debug" | "info" | ...); at debug every message and turn is
     *        accounted for with a record, never with its text,
     *    "stateDirectory": absolute path of a private directory (mode 0700) that is this gateway's alone: what must
     *    survive a restart lies there, and the files of turns,
     *    "capabilities": what the host can do, see 5, optional,
     *    "trial": true if it is only to be checked: the same answer, and nothing is adopted; optional,
     *    "settings": the channel's section}
     * Result: {"configured": whether any account is, "reason": why not, "accounts": [{"accountId", "enabled",
     *    "configured", "credential": "available" | "unavailable" | "missing", "source": where it stands, "reason"}],
     *    "added": [id...], "changed": [id...] (to be restarted), "adopted": [id...] (took up their change; may be
     *    absent), "removed": [id...], "settings": [key...] that were taken up and concern no account (may be absent),
     *    all compared with the configuration before
     *    "capabilities": what the module can do, see 5; absent in old ones}
     * GATEWAY_INVALID: nothing changed; "errors": [{"file", "keyPath", "problem", "remedy"}...] beside "error"
     * lists every finding. A finding about one account only is not an error: that account is reported configured: false with the
     * reason. */
    void (*configure)(void *instance, uint64_t request, gateway_bytes configuration);

    /* Starts an account and keeps it running until stop_account. Completes when it has been started (not when
     * it is connected: see account_changed). Request: {"accountId", "handover": the string from stop_account of
     * another instance, optional}. Starting a running account: GATEWAY_OK, nothing happens. An account that is
     * unconfigured or disabled, or a hand-over of a form this module does not know: GATEWAY_INVALID with the reason;
     * after the latter start it without. */
    void (*start_account)(void *instance, uint64_t request, gateway_bytes account);

    /* Stops an account within 5 s in every state; nothing of it survives: no socket, timer, callback. Request:
     * {"accountId", "drainSeconds": how long running turns and messages on their way may still finish, while no new
     * turn begins (default 0; more than 4 counts as 4), "handover": true: the result has {"handover": string}, for
     * start_account of another instance in this process; it holds tokens: memory only, never disk, never a log}.
     * Sends that are open complete first. Stopping an account that does not run: GATEWAY_OK. */
    void (*stop_account)(void *instance, uint64_t request, gateway_bytes account);

    /* Sends a message as an account: see 4 before using "delivery". Request: {"accountId", "to": a conversation's id,
     * "fabric:<guild>/<channel>", or "fabric:<channel>" where that is unambiguous; "#<name>" for a channel and a guild's
     * name in place of its id will do where only one has that name, "text", "media": [{"path":
     * absolute, "name", "mediaType"}], "replyTo": id of the message it answers, "delivery": id of the turn it belongs
     * to}; text or media must be there, the others are optional. Result: {"messageId", "seq"}. */
    void (*send)(void *instance, uint64_t request, gateway_bytes message);

    /* Reports what became of a delivery: delivery is its id, outcome one of GATEWAY_DELIVERY_ADOPTED, FINISHED,
     * FAILED. Unknown ids are ignored (a late report of a turn whose deadline passed). */
    void (*settle)(void *instance, gateway_bytes delivery, int32_t outcome);

    /* Request: {} or {"accountId"}. Result: {"version": of the module, "accounts": [{
     *    "accountId", "enabled", "configured", "credential" (as in configure), "running",
     *    "connected": true only if every guild's connection is authenticated and has joined its channels,
     *    "lifecycle": "starting" | "ready" | "recovering" | "blocked" | "stopped" | "standby" (see 5),
     *    "reason": "" if all is well,
     *    "queued": true while it waits for its turn to log in or to connect, behind other accounts of this module: that is
     *    no failure, and a restart would put it behind all others; absent means false,
     *    "guilds": [{"nodeId", "connected", "channels": number, "reconnectAttempts": in a row,
     *                "lastTransportActivityAt": when bytes last moved, "lastConnectedAt", "lastDisconnect": why,
     *                "skipped": messages that a limit of catching up left out, "missing": messages that the
     *                guild says it has, and that its history did not show, "openGaps": conversations whose history
     *                is still to be read, "protocolErrors": what the guild said that makes no sense}],
     *    "lastInboundAt", "lastOutboundAt", "tokenExpiresAt": ISO 8601 or null,
     *    "lanes": conversations with something in them, "waiting": deliveries behind turns,
     *    "outbox": messages on their way, "outboxProblem": {"reason", "seconds"} of the one that waits longest, absent if
     *    none is held up, "deadLetters": number, "agentsHeld": conversations in which another agent's messages wake it no
     *    more for now, because the two have talked as much as is allowed }]} */
    void (*status)(void *instance, uint64_t request, gateway_bytes query);

    /* Room to grow without a new ABI. Request: {"command": name, ...}. Known: "channels.list" {accountId} gives
     * {"channels": [{"accountId", "guild", "guildName", "channel", "name", "xType", "closed", "to": for send}]}, as last
     * heard. "deadLetters.list" {accountId?} gives
     * {"deadLetters": [{"id", "accountId", "kind": "message" (never sent) | "delivery" (never answered: each time it was
     * delivered the process ended), "to", "text": its beginning, "files": number, "reason"}]},
     * also of accounts that do not run; what an account that was unbound could not send is among them until it is dropped.
     * "deadLetters.resubmit" {id}, "deadLetters.drop" {id}, or {"all": true, accountId?}, which gives {"dropped": number},
     * "account.unblock" {accountId}, or {"all": true}, which gives {"accounts": [id...]} of those that run in this instance.
     * Further ones: see 5. Unknown: GATEWAY_INVALID. */
    void (*command)(void *instance, uint64_t request, gateway_bytes command);

    /* Stops everything and frees the instance. Blocks, at most 5 s; afterwards no callback runs, no thread of
     * the instance exists, and the table must not be used. Not from inside a callback. No other call may be under way
     * or follow. */
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
