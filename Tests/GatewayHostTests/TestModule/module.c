/* A channel module for the host's tests: no network, behaviour selected when compiled (-D…) and by its settings.
 *
 * Compiled: TEST_VERSION "1.0.0", TEST_ID "test", TEST_ABI 1, HANG_IN_OPEN, REFUSE_OPEN, NO_SYMBOL, SMALL_TABLE;
 * GROWN: with a header whose tables have one function more (see TableGrowthTests).
 * Settings: {"refuse": true} configure is refused; "accounts": {id: mark}: a mark is any text without quotes; its first
 * letter may be 'd' disabled, 'u' unconfigured, 's' start refused, 'f' start fails, 'n' never connects, 'z' never stops,
 * 'h' does not hand over, 'w' hands over when the file exists whose path follows the letter.
 * Commands: {"command":"deliver","raw":"…"} delivers the text (escaped JSON) as it is; "crash" and "block" {accountId};
 * "late" {accountId} reports running:true for an account that does not run; "journal" lists all calls.
 * With {"tools": true} it has tools: "say" answers what it was asked, "wait" waits to be cancelled, "make" makes the channel
 * "c-new", "history" answers; "presence.set" and "commands.sync" are noted in the journal.
 * With {"sharing": "FOLDER"} it shares its accounts: "sharing.status", "sharing.drain" and "sharing.undrain" answer what stands in
 * FOLDER/COMMAND.json, or that it is not there; they are noted in the journal.
 * Every running account has the dead letter "L-<account>": "deadLetters.list" {accountId?}, "deadLetters.drop" {id}. */
#define _GNU_SOURCE
#include "gateway_channel.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TEST_VERSION
#define TEST_VERSION "1.0.0"
#endif
#ifndef TEST_ID
#define TEST_ID "test"
#endif
#ifndef TEST_ABI
#define TEST_ABI GATEWAY_ABI_VERSION
#endif

enum { MAX_ACCOUNTS = 1200, MAX_HELD = 256 };

typedef struct account {
    char id[64], mark[256];
    bool running, known;
    int inherited; /* what the hand-over said */
} account;

typedef struct held {
    uint64_t request;
    char delivery[64];
    char account[64];
} held;

typedef struct instance {
    gateway_host host;
    pthread_mutex_t lock;
    account accounts[MAX_ACCOUNTS];
    int count;
    held sends[MAX_HELD]; /* sends that wait for their settle */
    int sends_count;
    char *journal;
    size_t journal_count;
    bool hold, unavailable, forget_status, tools;
    char sharing[256];
    held waits[MAX_HELD]; /* calls of "wait"; delivery is the call's id */
    int waits_count;
} instance;

static gateway_bytes text(const char *s) { return (gateway_bytes){(const uint8_t *)s, strlen(s)}; }

static char *copy(gateway_bytes bytes) {
    char *out = malloc(bytes.count + 1);
    memcpy(out, bytes.data, bytes.count);
    out[bytes.count] = 0;
    return out;
}

/* The text of "key":"…" with escapes undone (\" and \\ only), or an empty text. Enough for what the tests send. */
static void field(const char *json, const char *key, char *out, size_t capacity) {
    char pattern[80];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    const char *p = strstr(json, pattern);
    size_t n = 0;
    if (p)
        for (p += strlen(pattern); *p && *p != '"' && n + 1 < capacity; p++) {
            if (*p == '\\' && p[1]) p++;
            out[n++] = *p;
        }
    out[n] = 0;
}

static void note(instance *self, const char *what, const char *detail) {
    size_t need = strlen(what) + strlen(detail) + 3;
    self->journal = realloc(self->journal, self->journal_count + need);
    self->journal_count += (size_t)sprintf(self->journal + self->journal_count, "%s %s\n", what, detail);
}

static account *find(instance *self, const char *id) {
    for (int i = 0; i < self->count; i++)
        if (strcmp(self->accounts[i].id, id) == 0) return &self->accounts[i];
    return NULL;
}

static void complete(instance *self, uint64_t request, int32_t code, const char *json) {
    self->host.complete(self->host.context, request, code, text(json));
}

static int status_of(instance *self, account *a, char *out, size_t capacity) {
    (void)self;
    return snprintf(out, capacity,
                    "{\"accountId\":\"%s\",\"enabled\":%s,\"configured\":%s,\"credential\":\"available\",\"running\":%s,"
                    "\"connected\":%s,\"lifecycle\":\"%s\",\"inherited\":%d,\"deadLetters\":0}",
                    a->id, a->mark[0] == 'd' ? "false" : "true", a->mark[0] == 'u' ? "false" : "true",
                    a->running ? "true" : "false", a->running && a->mark[0] != 'n' ? "true" : "false",
                    !a->running ? "stopped" : a->mark[0] == 'n' ? "recovering" : "ready",
                    a->inherited);
}

static void changed(instance *self, const char *json) { self->host.account_changed(self->host.context, text(json)); }

static void report(instance *self, account *a) {
    char json[600];
    status_of(self, a, json, sizeof json);
    changed(self, json);
}

static void configure(void *context, uint64_t request, gateway_bytes bytes) {
    instance *self = context;
    char *json = copy(bytes);
    pthread_mutex_lock(&self->lock);
    note(self, "configure", "");
    if (strstr(json, "\"refuse\":true")) {
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_INVALID,
                 "{\"error\":\"the settings are refused\",\"where\":\"channels.test.refuse\",\"remedy\":\"remove it\","
                 "\"retryable\":false,\"errors\":[\"first finding\",\"second finding\"]}");
        free(json);
        return;
    }
    self->hold = strstr(json, "\"hold\":true") != NULL;
    self->tools = strstr(json, "\"tools\":true") != NULL;
    field(json, "sharing", self->sharing, sizeof self->sharing);
    self->unavailable = strstr(json, "\"unavailable\":true") != NULL;
    size_t capacity = 400000, n = 0;
    char *accounts = malloc(capacity), *added = calloc(1, 100000), *changes = calloc(1, 100000), *removed = calloc(1, 100000);
    accounts[0] = 0;
    for (int i = 0; i < self->count; i++) self->accounts[i].known = false;
    const char *p = strstr(json, "\"accounts\":{");
    if (p) {
        p += strlen("\"accounts\":{");
        while (*p == '"') {
            char id[64], mark[256];
            if (sscanf(p, "\"%63[^\"]\":\"%255[^\"]\"", id, mark) != 2) break;
            account *a = find(self, id);
            char quoted[80];
            if (!a && self->count < MAX_ACCOUNTS) {
                a = &self->accounts[self->count++];
                memset(a, 0, sizeof *a);
                snprintf(a->id, sizeof a->id, "%s", id);
                snprintf(quoted, sizeof quoted, "%s\"%s\"", added[0] ? "," : "", id);
                strcat(added, quoted);
            } else if (strcmp(a->mark, mark) != 0) {
                snprintf(quoted, sizeof quoted, "%s\"%s\"", changes[0] ? "," : "", id);
                strcat(changes, quoted);
            }
            snprintf(a->mark, sizeof a->mark, "%s", mark);
            a->known = true;
            n += (size_t)snprintf(accounts + n, capacity - n,
                                  "%s{\"accountId\":\"%s\",\"enabled\":%s,\"configured\":%s,\"credential\":\"available\","
                                  "\"source\":\"inline\",\"reason\":\"%s\"}",
                                  n ? "," : "", id, mark[0] == 'd' ? "false" : "true", mark[0] == 'u' ? "false" : "true",
                                  mark[0] == 'u' ? "its key is missing" : "");
            p += strlen(id) + strlen(mark) + 5;
            if (*p++ != ',') break;
        }
    }
    int kept = 0;
    for (int i = 0; i < self->count; i++) {
        if (self->accounts[i].known) {
            self->accounts[kept++] = self->accounts[i];
        } else {
            strcat(removed, removed[0] ? ",\"" : "\"");
            strcat(removed, self->accounts[i].id);
            strcat(removed, "\"");
        }
    }
    self->count = kept;
    pthread_mutex_unlock(&self->lock);
    char *result = malloc(capacity + 400000);
    sprintf(result, "{\"configured\":%s,\"reason\":\"%s\",\"accounts\":[%s],\"added\":[%s],\"changed\":[%s],\"removed\":[%s]%s}",
            kept ? "true" : "false", kept ? "" : "no account is bound", accounts, added, changes, removed,
            self->sharing[0] ? ",\"capabilities\":[\"sharing\"]"
            : self->tools ? ",\"capabilities\":[\"tools\",\"presence\",\"commands\",\"history\"]" : "");
    complete(self, request, GATEWAY_OK, result);
    free(result), free(accounts), free(added), free(changes), free(removed), free(json);
}

static void start_account(void *context, uint64_t request, gateway_bytes bytes) {
    instance *self = context;
    char *json = copy(bytes), id[64];
    field(json, "accountId", id, sizeof id);
    pthread_mutex_lock(&self->lock);
    account *a = find(self, id);
    char handed[16];
    field(json, "token", handed, sizeof handed);
    note(self, handed[0] ? "start+handover" : "start", id);
    char mark = a ? a->mark[0] : 0;
    if (a && mark != 's' && mark != 'f') {
        a->running = true;
        a->inherited = handed[0] ? 1 : 0;
    }
    pthread_mutex_unlock(&self->lock);
    if (!a || mark == 's') {
        complete(self, request, GATEWAY_INVALID, "{\"error\":\"this account cannot be started\",\"where\":\"account\"}");
    } else if (mark == 'f') {
        complete(self, request, GATEWAY_UNAVAILABLE, "{\"error\":\"not now\",\"retryable\":true}");
    } else {
        complete(self, request, GATEWAY_OK, "{}");
        report(self, a);
#ifdef DELIVER_ON_START
        char wake[400];
        snprintf(wake, sizeof wake, "{\"account\":\"%s\",\"conversation\":{\"guild\":\"g\",\"id\":\"" TEST_ID ":g/c\"},"
                 "\"delivery\":\"d1\",\"message\":{\"id\":\"m\",\"text\":\"hi\"},\"wake\":true}", id);
        self->host.deliver(self->host.context, text(wake));
#endif
    }
    free(json);
}

typedef struct patience {
    instance *self;
    uint64_t request;
    char id[64], file[256];
} patience;

/* Lets go of the account when its file is there. */
static void *hand_over_later(void *context) {
    patience *p = context;
    while (access(p->file, F_OK) != 0) usleep(1000);
    pthread_mutex_lock(&p->self->lock);
    account *a = find(p->self, p->id);
    if (a) a->running = false;
    pthread_mutex_unlock(&p->self->lock);
    complete(p->self, p->request, GATEWAY_OK, "{\"handover\":{\"token\":\"secret\"}}");
    free(p);
    return NULL;
}

static void stop_account(void *context, uint64_t request, gateway_bytes bytes) {
    instance *self = context;
    char *json = copy(bytes), id[64];
    field(json, "accountId", id, sizeof id);
    bool handover = strstr(json, "\"handover\":true") != NULL;
    pthread_mutex_lock(&self->lock);
    account *a = find(self, id);
    note(self, handover ? "stop+handover" : "stop", id);
    if (a && a->mark[0] == 'z') { /* never completes */
        pthread_mutex_unlock(&self->lock);
        free(json);
        return;
    }
    if (a && handover && a->mark[0] == 'w') {
        patience *p = malloc(sizeof *p);
        *p = (patience){.self = self, .request = request};
        snprintf(p->id, sizeof p->id, "%s", id), snprintf(p->file, sizeof p->file, "%s", a->mark + 1);
        pthread_mutex_unlock(&self->lock);
        pthread_t thread;
        if (pthread_create(&thread, NULL, hand_over_later, p) == 0) pthread_detach(thread);
        free(json);
        return;
    }
    bool stuck = a && handover && a->mark[0] == 'h';
    if (a && !stuck) a->running = false;
    uint64_t ended[MAX_HELD];
    int count = 0;
    for (int i = 0; i < self->sends_count;)
        if (strcmp(self->sends[i].account, id) == 0) {
            ended[count++] = self->sends[i].request;
            self->sends[i] = self->sends[--self->sends_count];
        } else {
            i++;
        }
    pthread_mutex_unlock(&self->lock);
    for (int i = 0; i < count; i++)
        complete(self, ended[i], GATEWAY_UNAVAILABLE, "{\"error\":\"the account stopped\",\"retryable\":true}");
    if (stuck)
        complete(self, request, GATEWAY_FAILED, "{\"error\":\"it does not let go\"}");
    else
        complete(self, request, GATEWAY_OK, handover ? "{\"handover\":{\"token\":\"secret\"}}" : "{}");
    free(json);
}

static void send_message(void *context, uint64_t request, gateway_bytes bytes) {
    instance *self = context;
    char *json = copy(bytes), id[64], to[128], words[256], delivery[64];
    field(json, "account", id, sizeof id);
    field(json, "to", to, sizeof to);
    field(json, "text", words, sizeof words);
    field(json, "delivery", delivery, sizeof delivery);
    pthread_mutex_lock(&self->lock);
    account *a = find(self, id);
    char detail[600];
    snprintf(detail, sizeof detail, "%s %s [%s] %s%s", id, to, words, delivery, strstr(json, "\"media\":[") ? " +media" : "");
    note(self, "send", detail);
    bool held_back = self->hold && delivery[0] && self->sends_count < MAX_HELD;
    bool unavailable = !a || !a->running || self->unavailable;
    if (held_back && !unavailable) {
        held *h = &self->sends[self->sends_count++];
        h->request = request;
        snprintf(h->delivery, sizeof h->delivery, "%s", delivery);
        snprintf(h->account, sizeof h->account, "%s", id);
    }
    pthread_mutex_unlock(&self->lock);
    if (unavailable)
        complete(self, request, GATEWAY_UNAVAILABLE, "{\"error\":\"the account does not run\",\"retryable\":true}");
    else if (strcmp(words, "refuse me") == 0 || strcmp(words, "echo: refuse me") == 0)
        complete(self, request, GATEWAY_FAILED, "{\"error\":\"channel_closed\",\"retryable\":false}");
    else if (!held_back)
        complete(self, request, GATEWAY_OK, "{\"messageId\":\"m1\",\"seq\":7}");
    free(json);
}

static void settle(void *context, gateway_bytes delivery, int32_t outcome) {
    instance *self = context;
    char *id = copy(delivery), detail[128];
    snprintf(detail, sizeof detail, "%s %d", id, outcome);
    pthread_mutex_lock(&self->lock);
    note(self, "settle", detail);
    uint64_t ended[MAX_HELD];
    int count = 0;
    for (int i = 0; i < self->sends_count;)
        if (strcmp(self->sends[i].delivery, id) == 0) {
            ended[count++] = self->sends[i].request;
            self->sends[i] = self->sends[--self->sends_count];
        } else {
            i++;
        }
    pthread_mutex_unlock(&self->lock);
    for (int i = 0; i < count; i++) complete(self, ended[i], GATEWAY_OK, "{\"messageId\":\"m2\",\"seq\":8}");
    self->host.log(self->host.context, GATEWAY_LOG_INFO, text("{\"message\":\"settled\",\"metadata\":{}}"));
    free(id);
}

static void status(void *context, uint64_t request, gateway_bytes query) {
    (void)query;
    instance *self = context;
    pthread_mutex_lock(&self->lock);
    size_t capacity = 600 * (size_t)(self->count + 2), n = 0;
    char *json = malloc(capacity);
    n += (size_t)snprintf(json, capacity, "{\"version\":\"" TEST_VERSION "\",\"accounts\":[");
    for (int i = 0; i < self->count; i++) {
        if (i) json[n++] = ',';
        n += (size_t)status_of(self, &self->accounts[i], json + n, capacity - n);
    }
    snprintf(json + n, capacity - n, "]}");
    pthread_mutex_unlock(&self->lock);
    complete(self, request, GATEWAY_OK, json);
    free(json);
}

typedef struct job {
    instance *self;
    uint64_t request;
    char *payload;
} job;

/* Deliveries come on a thread of the module's. */
static void *deliver(void *context) {
    job *j = context;
    int32_t answer = j->self->host.deliver(j->self->host.context, text(j->payload));
    char json[64];
    snprintf(json, sizeof json, "{\"answer\":%d}", answer);
    complete(j->self, j->request, GATEWAY_OK, json);
    free(j->payload), free(j);
    return NULL;
}

static char *quoted(const char *from) {
    char *out = malloc(2 * strlen(from) + 3), *p = out;
    *p++ = '"';
    for (; *from; from++) {
        if (*from == '"' || *from == '\\') *p++ = '\\';
        *p++ = *from;
    }
    *p++ = '"', *p = 0;
    return out;
}

/* Whether it was one of the commands about tools. */
static bool tool_command(instance *self, uint64_t request, const char *name, const char *json) {
    char id[64], call[64], tool[64], detail[300];
    if (!self->tools) return false;
    field(json, "account", id, sizeof id), field(json, "callId", call, sizeof call), field(json, "tool", tool, sizeof tool);
    if (strcmp(name, "tools.list") == 0) {
        complete(self, request, GATEWAY_OK,
                 "{\"tools\":[{\"name\":\"say\",\"title\":\"Say\",\"description\":\"Says what it was asked.\",\"inputSchema\":{\"type\":"
                 "\"object\",\"properties\":{\"text\":{\"type\":\"string\",\"description\":\"anything\"}},\"required\":[\"text\"]},"
                 "\"readOnly\":true,\"destructive\":false},{\"name\":\"wait\",\"description\":\"Waits.\",\"inputSchema\":{\"type\":\"object\"},"
                 "\"readOnly\":false}]}");
    } else if (strcmp(name, "tools.call") == 0 && strcmp(tool, "wait") == 0) {
        pthread_mutex_lock(&self->lock);
        held *h = &self->waits[self->waits_count++ % MAX_HELD];
        *h = (held){.request = request};
        snprintf(h->delivery, sizeof h->delivery, "%s", call), snprintf(h->account, sizeof h->account, "%s", id);
        note(self, "waiting", id);
        pthread_mutex_unlock(&self->lock);
    } else if (strcmp(name, "tools.call") == 0) {
        char *asked = quoted(json), *out = malloc(strlen(asked) + 200);
        if (strcmp(tool, "make") == 0)
            strcpy(out, "{\"ok\":true,\"result\":{\"created\":true,\"channel\":{\"id\":\"c-new\"}}}");
        else if (strcmp(tool, "say") == 0 || strcmp(tool, "history") == 0)
            sprintf(out, "{\"ok\":true,\"result\":{\"asked\":%s}}", asked);
        else
            strcpy(out, "{\"ok\":false,\"error\":{\"code\":\"unknown_tool\",\"message\":\"there is no such tool\"}}");
        complete(self, request, GATEWAY_OK, out);
        free(asked), free(out);
    } else if (strcmp(name, "tools.cancel") == 0) {
        uint64_t ended = 0;
        pthread_mutex_lock(&self->lock);
        for (int i = 0; i < self->waits_count && !ended; i++)
            if (strcmp(self->waits[i].delivery, call) == 0 && strcmp(self->waits[i].account, id) == 0) {
                ended = self->waits[i].request;
                self->waits[i] = self->waits[--self->waits_count];
            }
        note(self, "cancel", id);
        pthread_mutex_unlock(&self->lock);
        if (ended)
            complete(self, ended, GATEWAY_OK,
                     "{\"ok\":false,\"error\":{\"code\":\"cancelled\",\"message\":\"the call was cancelled\"}}");
        complete(self, request, GATEWAY_OK, "{}");
    } else if (strcmp(name, "presence.set") == 0) {
        char state[32];
        field(json, "state", state, sizeof state);
        snprintf(detail, sizeof detail, "%s %s", id, state);
        pthread_mutex_lock(&self->lock);
        note(self, "presence", detail);
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_OK, "{}");
    } else if (strcmp(name, "history.set") == 0) {
        const char *count = strstr(json, "\"messages\":");
        snprintf(detail, sizeof detail, "%s %d", id, count ? atoi(count + strlen("\"messages\":")) : -1);
        pthread_mutex_lock(&self->lock);
        note(self, "history", detail);
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_OK, "{}");
    } else if (strcmp(name, "commands.sync") == 0) {
        pthread_mutex_lock(&self->lock);
        note(self, "commands", json);
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_OK, "{}");
    } else {
        return false;
    }
    return true;
}

/* Answers what the test wrote into a file. */
static void sharing_command(instance *self, uint64_t request, const char *name, const char *json) {
    char path[400], out[8000];
    const char *within = strstr(json, "\"withinSeconds\":");
    pthread_mutex_lock(&self->lock);
    note(self, name, within ? within : "");
    pthread_mutex_unlock(&self->lock);
    snprintf(path, sizeof path, "%s/%s.json", self->sharing, name);
    FILE *file = fopen(path, "r");
    if (!file) {
        complete(self, request, GATEWAY_UNAVAILABLE, "{\"error\":\"no other gateway is there\"}");
        return;
    }
    out[fread(out, 1, sizeof out - 1, file)] = 0;
    fclose(file);
    complete(self, request, GATEWAY_OK, out);
}

static void command(void *context, uint64_t request, gateway_bytes bytes) {
    instance *self = context;
    char *json = copy(bytes), name[64], id[64];
    field(json, "command", name, sizeof name);
    field(json, "accountId", id, sizeof id);
    if (self->sharing[0] && strncmp(name, "sharing.", 8) == 0) {
        sharing_command(self, request, name, json);
        free(json);
        return;
    }
    if (strcmp(name, "deliver") == 0) {
        job *j = malloc(sizeof *j);
        *j = (job){self, request, malloc(bytes.count + 1)};
        field(json, "raw", j->payload, bytes.count + 1);
        pthread_t thread;
        pthread_create(&thread, NULL, deliver, j);
        pthread_join(thread, NULL); /* so that nothing of the instance outlives its shutdown */
        free(json);
        return;
    }
    if (strcmp(name, "journal") == 0) {
        pthread_mutex_lock(&self->lock);
        char *out = malloc(2 * self->journal_count + 64), *p = out;
        p += sprintf(p, "{\"journal\":\"");
        for (size_t i = 0; i < self->journal_count; i++) {
            char c = self->journal[i];
            if (c == '\n') *p++ = '\\', c = 'n';
            else if (c == '"' || c == '\\') *p++ = '\\';
            *p++ = c;
        }
        strcpy(p, "\"}");
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_OK, out);
        free(out), free(json);
        return;
    }
    if (strcmp(name, "deadLetters.list") == 0) {
        pthread_mutex_lock(&self->lock);
        size_t capacity = 200 * (size_t)(self->count + 2);
        char *out = malloc(capacity);
        size_t n = (size_t)snprintf(out, capacity, "{\"deadLetters\":["), first = n;
        for (int i = 0; i < self->count; i++) {
            account *a = &self->accounts[i];
            if (!a->running || (id[0] && strcmp(id, a->id) != 0)) continue;
            n += (size_t)snprintf(out + n, capacity - n, "%s{\"id\":\"L-%s\",\"accountId\":\"%s\"}", n > first ? "," : "", a->id, a->id);
        }
        snprintf(out + n, capacity - n, "]}");
        pthread_mutex_unlock(&self->lock);
        complete(self, request, GATEWAY_OK, out);
        free(out), free(json);
        return;
    }
    if (strcmp(name, "deadLetters.drop") == 0) {
        char letter[80];
        field(json, "id", letter, sizeof letter);
        pthread_mutex_lock(&self->lock);
        account *a = strncmp(letter, "L-", 2) == 0 ? find(self, letter + 2) : NULL;
        bool there = a && a->running;
        if (there) note(self, "drop", letter);
        pthread_mutex_unlock(&self->lock);
        if (there) complete(self, request, GATEWAY_OK, "{}");
        else complete(self, request, GATEWAY_INVALID, "{\"error\":\"there is no such dead letter\"}");
        free(json);
        return;
    }
    if (tool_command(self, request, name, json)) {
        free(json);
        return;
    }
    char report_json[300];
    bool crash = strcmp(name, "crash") == 0, block = strcmp(name, "block") == 0, late = strcmp(name, "late") == 0;
    if (strcmp(name, "silence") == 0) { /* never completes */
        free(json);
        return;
    }
    if (crash || block || late) {
        pthread_mutex_lock(&self->lock);
        account *a = find(self, id);
        if (a && !late) a->running = false;
        pthread_mutex_unlock(&self->lock);
        snprintf(report_json, sizeof report_json,
                 "{\"accountId\":\"%s\",\"running\":%s,\"connected\":%s,\"lifecycle\":\"%s\",\"reason\":\"told to %s\"}", id,
                 late ? "true" : "false", late ? "true" : "false", block ? "blocked" : late ? "ready" : "stopped", name);
        changed(self, report_json);
        complete(self, request, GATEWAY_OK, "{}");
    } else {
        complete(self, request, GATEWAY_INVALID, "{\"error\":\"unknown command\"}");
    }
    free(json);
}

static void shutdown_instance(void *context) {
    instance *self = context;
    for (int i = 0; i < self->sends_count; i++)
        complete(self, self->sends[i].request, GATEWAY_SHUT_DOWN, "{\"error\":\"shut down\"}");
    for (int i = 0; i < self->waits_count; i++)
        complete(self, self->waits[i].request, GATEWAY_SHUT_DOWN, "{\"error\":\"shut down\"}");
    pthread_mutex_destroy(&self->lock);
    free(self->journal);
    free(self);
}

#ifdef GROWN
static int32_t later(void *context) { return context ? 42 : 0; }
#endif

#ifdef NO_SYMBOL
int32_t some_other_function(const gateway_host *host, gateway_channel *out, char *error, size_t error_capacity);
int32_t some_other_function(const gateway_host *host, gateway_channel *out, char *error, size_t error_capacity) {
#else
int32_t gateway_channel_open(const gateway_host *host, gateway_channel *out, char *error, size_t error_capacity) {
#endif
#ifdef HANG_IN_OPEN
    for (;;) pause();
#endif
#ifdef REFUSE_OPEN
    snprintf(error, error_capacity, "not today");
    return GATEWAY_INVALID;
#endif
    (void)error, (void)error_capacity;
    instance *self = calloc(1, sizeof *self);
#if defined SMALL_TABLE || TEST_ABI != GATEWAY_ABI_VERSION
    /* Nobody can shut this one down: it stays, as a real one's would that has threads. */
    static instance *volatile stays;
    stays = self;
#endif
    if (host->struct_size < GATEWAY_HOST_SIZE_1 || out->struct_size < GATEWAY_CHANNEL_SIZE_1) return GATEWAY_INVALID;
    gateway_copy_table(&self->host, sizeof self->host, host, host->struct_size);
    pthread_mutex_init(&self->lock, NULL);
    gateway_channel mine = {.abi_version = TEST_ABI, .struct_size = sizeof mine, .instance = self, .id = text(TEST_ID),
                            .version = text(TEST_VERSION), .configure = configure, .start_account = start_account,
                            .stop_account = stop_account, .send = send_message, .settle = settle, .status = status,
                            .command = command, .shutdown = shutdown_instance};
#ifdef GROWN
    mine.later = later;
    if (self->host.later) self->host.later(self->host.context, 7);
#endif
    gateway_copy_table(out, out->struct_size, &mine, sizeof mine);
#ifdef SMALL_TABLE
    out->struct_size = 64;
#endif
    return GATEWAY_OK;
}
