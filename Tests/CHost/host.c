/* The smallest host: shows that the contract needs no Swift on this side.
 *   host MODULE SECTION.json STATE_DIRECTORY ACCOUNT
 * loads the module, configures it with the channel's section, starts the account, waits for a delivery that wakes an
 * agent, answers "hello from C", and ends with 0. Anything that goes wrong ends it with 1, silence with SIGALRM.
 *   cc -I Sources/GatewayABI/include -o host Tests/CHost/host.c -ldl -lpthread */
#define _GNU_SOURCE
#include "gateway_channel.h"
#include <dlfcn.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t completed, delivered;
static int32_t last_code;
static char delivery[1 << 20];

static int32_t on_deliver(void *context, gateway_bytes json) {
    (void)context;
    if (delivery[0] || json.count >= sizeof delivery || !memmem(json.data, json.count, "\"wake\":true", 11))
        return GATEWAY_DELIVERY_ADOPTED;
    memcpy(delivery, json.data, json.count);
    sem_post(&delivered);
    return GATEWAY_DELIVERY_TAKEN;
}
static void on_complete(void *context, uint64_t request, int32_t code, gateway_bytes result) {
    (void)context;
    fprintf(stderr, "request %llu ended with %d: %.*s\n", (unsigned long long)request, code, (int)result.count, (const char *)result.data);
    last_code = code;
    sem_post(&completed);
}
static void on_changed(void *context, gateway_bytes status) { (void)context, (void)status; }
static void on_log(void *context, int32_t level, gateway_bytes record) {
    (void)context;
    fprintf(stderr, "log %d %.*s\n", level, (int)record.count, (const char *)record.data);
}
static gateway_bytes bytes(const char *text) { return (gateway_bytes){(const uint8_t *)text, strlen(text)}; }
static void must(int good, const char *what) {
    if (!good) fprintf(stderr, "failed: %s\n", what), exit(1);
}
static void wait_ok(const char *what) {
    sem_wait(&completed);
    must(last_code == GATEWAY_OK, what);
}
/* The text behind a pattern that ends inside a string, up to the closing quote. */
static void text_after(const char *pattern, size_t keep, char *out, size_t capacity) {
    const char *p = strstr(delivery, pattern);
    must(p != NULL, pattern);
    p += strlen(pattern) - keep;
    snprintf(out, capacity, "%.*s", (int)strcspn(p, "\""), p);
}

int main(int count, char **arguments) {
    static char section[1 << 20], request[(1 << 20) + 4096], error[512], id[256], to[512], pattern[300];
    must(count == 5, "usage: host MODULE SECTION.json STATE_DIRECTORY ACCOUNT");
    alarm(60);
    sem_init(&completed, 0, 0), sem_init(&delivered, 0, 0);
    FILE *file = fopen(arguments[2], "r");
    must(file && fread(section, 1, sizeof section - 1, file) > 0, "reading the section");
    void *library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
    must(library != NULL, "dlopen");
    gateway_channel_open_function open_channel = (gateway_channel_open_function)dlsym(library, GATEWAY_CHANNEL_OPEN_SYMBOL);
    must(open_channel != NULL, "dlsym");
    gateway_host host = {GATEWAY_ABI_VERSION, sizeof host, NULL, on_deliver, on_complete, on_changed, on_log};
    gateway_channel channel = {.struct_size = sizeof channel};
    must(open_channel(&host, &channel, error, sizeof error) == GATEWAY_OK, error);
    must(channel.abi_version == GATEWAY_ABI_VERSION, "ABI version");

    snprintf(request, sizeof request,
             "{\"channel\":\"%.*s\",\"file\":\"\",\"keyPath\":\"\",\"directory\":\".\",\"stateDirectory\":\"%s\",\"settings\":%s}",
             (int)channel.id.count, (const char *)channel.id.data, arguments[3], section);
    channel.configure(channel.instance, 1, bytes(request)), wait_ok("configure");
    snprintf(request, sizeof request, "{\"accountId\":\"%s\"}", arguments[4]);
    channel.start_account(channel.instance, 2, bytes(request)), wait_ok("start_account");

    sem_wait(&delivered);
    snprintf(pattern, sizeof pattern, "\"id\":\"%.*s:", (int)channel.id.count, (const char *)channel.id.data);
    text_after("\"delivery\":\"", 0, id, sizeof id);
    text_after(pattern, channel.id.count + 1, to, sizeof to); /* the conversation's id begins with the channel's */
    snprintf(request, sizeof request, "{\"account\":\"%s\",\"to\":\"%s\",\"text\":\"hello from C\",\"delivery\":\"%s\"}", arguments[4], to, id);
    channel.send(channel.instance, 3, bytes(request));
    channel.settle(channel.instance, bytes(id), GATEWAY_DELIVERY_FINISHED), wait_ok("send");

    snprintf(request, sizeof request, "{\"accountId\":\"%s\"}", arguments[4]);
    channel.stop_account(channel.instance, 4, bytes(request)), wait_ok("stop_account");
    channel.shutdown(channel.instance);
    puts(to);
    return 0;
}
