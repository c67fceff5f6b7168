/* A host in C: everything a gateway needs to let an agent take part, and no more. It answers every message that wakes
 * its account with "echo: <text>".
 *
 *   cc -I Sources/GatewayABI/include -o host Examples/CHost/host.c -ldl -lpthread
 *   ./host MODULE SECTION.json STATE_DIRECTORY ACCOUNT [TURNS]
 *
 * MODULE is libFabricModule.so, SECTION.json what stands under channels.fabric in a gateway's configuration. It ends after
 * TURNS answers, or at SIGTERM. The contract is gateway_channel.h; the numbers below are its sections. */
#define _GNU_SOURCE
#include "gateway_channel.h"

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static void must(bool good, const char *what) {
    if (!good) fprintf(stderr, "host: %s\n", what), exit(1);
}

static gateway_bytes bytes(const char *text) { return (gateway_bytes){(const uint8_t *)text, strlen(text)}; }

static char *copy(gateway_bytes from) {
    char *text = malloc(from.count + 1);
    must(text != NULL, "out of memory");
    if (from.count) memcpy(text, from.data, from.count);
    text[from.count] = 0;
    return text;
}

/* --- As much JSON as this host needs: raw values by name. A real host has a library for it. --- */

/* The end of the value that begins at p. The module's JSON is well-formed. */
static const char *value_end(const char *p) {
    int depth = 0;
    do {
        if (*p == '"') {
            for (p++; *p && *p != '"'; p++)
                if (*p == '\\' && p[1]) p++;
            if (*p) p++;
        } else if (*p == '{' || *p == '[') {
            depth++, p++;
        } else if (*p == '}' || *p == ']') {
            depth--, p++;
        } else if (depth == 0) {
            p += strcspn(p, ",}] \n\t\r");
        } else {
            p++;
        }
    } while (depth > 0 && *p);
    return p;
}

/* A member's value as it stands in the text of an object ("" if it is not there); the caller frees it. */
static char *member(const char *object, const char *name) {
    const char *p = strchr(object, '{');
    while (p && *p && *p != '}') {
        const char *key = p + 1 + strspn(p + 1, " \n\t\r");
        if (*key != '"') break;
        const char *key_end = value_end(key), *value = key_end + strspn(key_end, " :\n\t\r"), *end = value_end(value);
        if ((size_t)(key_end - key) == strlen(name) + 2 && memcmp(key + 1, name, strlen(name)) == 0)
            return copy((gateway_bytes){(const uint8_t *)value, (size_t)(end - value)});
        p = end + strspn(end, " \n\t\r");
    }
    return copy(bytes(""));
}

/* The text a JSON string stands for, in place. */
static void unquote(char *string) {
    char *to = string;
    for (char *p = string + (*string == '"'); *p && *p != '"'; p++) {
        if (*p != '\\') {
            *to++ = *p;
        } else if (*++p != 'u') {
            const char *known = strchr("b\bf\fn\nr\rt\t", *p);
            *to++ = known ? known[1] : *p;
        } else {
            unsigned point = 0;
            if (sscanf(p + 1, "%4x", &point) != 1 || point > 0x7f) point = '?'; /* ids are ASCII in practice */
            *to++ = (char)point, p += 4;
        }
    }
    *to = 0;
}

/* --- The host's side of the contract --- */

typedef struct delivery {
    char *json;
    struct delivery *next;
} delivery;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t completed = PTHREAD_COND_INITIALIZER;
static delivery *first, **last = &first;
static sem_t waiting; /* one post per delivery in the list, and one when it is time to end */
static uint64_t requests, done; /* requests are made one at a time here, so their numbers complete in order */
static int32_t done_code;
static volatile sig_atomic_t ending;

/* 3: on the thread that serves all sockets, so it only takes the delivery into a list. A host that keeps nothing over a
 * crash answers TAKEN, and hears of the message again; one that stores it first answers ADOPTED. */
static int32_t on_deliver(void *context, gateway_bytes json) {
    (void)context;
    delivery *new = malloc(sizeof *new);
    if (!new) return GATEWAY_DELIVERY_TAKEN;
    *new = (delivery){copy(json), NULL};
    char *wake = member(new->json, "wake");
    bool turn = strcmp(wake, "true") == 0;
    free(wake);
    if (!turn) { /* only for the record: this host keeps none */
        free(new->json), free(new);
        return GATEWAY_DELIVERY_ADOPTED;
    }
    pthread_mutex_lock(&lock);
    *last = new, last = &new->next;
    pthread_mutex_unlock(&lock);
    sem_post(&waiting);
    return GATEWAY_DELIVERY_TAKEN;
}

static void on_complete(void *context, uint64_t request, int32_t code, gateway_bytes result) {
    (void)context;
    fprintf(stderr, "request %llu ended with %d", (unsigned long long)request, code);
    /* A hand-over would hold tokens; this host asks for none, and an error's text never does. */
    if (code != GATEWAY_OK) fprintf(stderr, ": %.*s", (int)result.count, (const char *)result.data);
    fputc('\n', stderr);
    pthread_mutex_lock(&lock);
    if (request > done) done = request, done_code = code;
    pthread_cond_broadcast(&completed);
    pthread_mutex_unlock(&lock);
}

static void on_changed(void *context, gateway_bytes status) {
    (void)context;
    fprintf(stderr, "status %.*s\n", (int)status.count, (const char *)status.data);
}

static void on_log(void *context, int32_t level, gateway_bytes record) {
    (void)context;
    if (level >= GATEWAY_LOG_INFO) fprintf(stderr, "log %d %.*s\n", level, (int)record.count, (const char *)record.data);
}

static void on_signal(int number) {
    (void)number;
    ending = 1;
    sem_post(&waiting);
}

/* --- Requests --- */

/* Results come by complete, which may be called before the request returned. */
static void wait_for(uint64_t request, const char *what) {
    pthread_mutex_lock(&lock);
    while (done < request) pthread_cond_wait(&completed, &lock);
    int32_t code = done_code;
    pthread_mutex_unlock(&lock);
    must(code == GATEWAY_OK, what);
}

static void ask(gateway_channel *channel, void (*call)(void *, uint64_t, gateway_bytes), const char *json, const char *what) {
    uint64_t request = ++requests;
    call(channel->instance, request, bytes(json));
    wait_for(request, what);
}

/* 4: the answer, and at once the settle; only then may complete be waited for. */
static void answer(gateway_channel *channel, const char *json) {
    char *id = member(json, "delivery"), *account = member(json, "account"), *request = NULL;
    char *conversation = member(json, "conversation"), *to = member(conversation, "id");
    char *message = member(json, "message"), *text = member(message, "text");
    must(asprintf(&request, "{\"account\":%s,\"to\":%s,\"text\":\"echo: %s,\"delivery\":%s}", account, to,
                  *text ? text + 1 : "\"", id) > 0, "out of memory");
    unquote(id), unquote(to);
    uint64_t number = ++requests;
    channel->send(channel->instance, number, bytes(request));
    channel->settle(channel->instance, bytes(id), GATEWAY_DELIVERY_FINISHED);
    wait_for(number, "the answer was not posted");
    printf("%s\n", to), fflush(stdout);
    free(id), free(account), free(conversation), free(to), free(message), free(text), free(request);
}

int main(int count, char **arguments) {
    must(count == 5 || count == 6, "usage: host MODULE SECTION.json STATE_DIRECTORY ACCOUNT [TURNS]");
    long turns = count == 6 ? atol(arguments[5]) : -1;
    sem_init(&waiting, 0, 0);
    signal(SIGPIPE, SIG_IGN), signal(SIGTERM, on_signal), signal(SIGINT, on_signal);

    static char section[1 << 20], error[512];
    FILE *file = fopen(arguments[2], "r");
    must(file && fread(section, 1, sizeof section - 1, file) > 0, "the section cannot be read");
    fclose(file);

    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    must(library != NULL, "the module cannot be loaded (LD_DEBUG=libs says why)");
    gateway_channel_open_function open_channel =
        (gateway_channel_open_function)dlsym(library, GATEWAY_CHANNEL_OPEN_SYMBOL);
    must(open_channel != NULL, "this is not a channel module");
    gateway_host host = {.abi_version = GATEWAY_ABI_VERSION, .struct_size = sizeof host, .deliver = on_deliver,
                         .complete = on_complete, .account_changed = on_changed, .log = on_log};
    gateway_channel channel = {.struct_size = sizeof channel};
    must(open_channel(&host, &channel, error, sizeof error) == GATEWAY_OK, error);
    must(channel.abi_version == GATEWAY_ABI_VERSION && channel.struct_size >= GATEWAY_CHANNEL_SIZE_1, "another ABI");

    char *request = NULL;
    must(asprintf(&request, "{\"channel\":\"%.*s\",\"file\":\"\",\"keyPath\":\"\",\"directory\":\".\",\"stateDirectory\":\"%s\","
                  "\"settings\":%s}", (int)channel.id.count, (const char *)channel.id.data, arguments[3], section) > 0, "memory");
    ask(&channel, channel.configure, request, "the configuration was refused");
    free(request);
    must(asprintf(&request, "{\"accountId\":\"%s\"}", arguments[4]) > 0, "memory");
    ask(&channel, channel.start_account, request, "the account was not started");

    while (turns != 0) {
        while (sem_wait(&waiting) != 0 && !ending) {}
        if (ending) break;
        pthread_mutex_lock(&lock);
        delivery *next = first;
        if (next && !(first = next->next)) last = &first;
        pthread_mutex_unlock(&lock);
        if (!next) continue;
        answer(&channel, next->json);
        free(next->json), free(next);
        if (turns > 0) turns--;
    }

    ask(&channel, channel.stop_account, request, "the account did not stop");
    free(request);
    channel.shutdown(channel.instance); /* nothing of the module runs after this */
    return 0;
}
