/* A host that only opens a module and says what it found, for the growth of the tables.
 *   host MODULE [SHORT_HOST] [SHORT_PLACE]    how many bytes to state less than version 1 began with
 * Compiled with -DGROWN and a header whose tables have one function more, it is a host of a later build. */
#define _GNU_SOURCE
#include "gateway_channel.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static int32_t deliver(void *context, gateway_bytes json) { return (void)context, (void)json, GATEWAY_DELIVERY_ADOPTED; }
static void complete(void *context, uint64_t request, int32_t code, gateway_bytes json) {
    (void)request, (void)json;
    *(int32_t *)context = code;
}
static void changed(void *context, gateway_bytes json) { (void)context, (void)json; }
static void log_record(void *context, int32_t level, gateway_bytes json) { (void)context, (void)level, (void)json; }
#ifdef GROWN
static void later(void *context, int32_t number) { (void)context, printf("called %d\n", number); }
#endif

int main(int count, char **arguments) {
    struct { gateway_channel table; uint8_t beyond[64]; } place;
    int32_t code = -1;
    char error[256] = "";
    void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library) return fprintf(stderr, "%s\n", dlerror()), 1;
    gateway_channel_open_function open_channel = (gateway_channel_open_function)dlsym(library, GATEWAY_CHANNEL_OPEN_SYMBOL);
    if (!open_channel) return 1;
    gateway_host host = {.abi_version = GATEWAY_ABI_VERSION, .struct_size = sizeof host, .context = &code, .deliver = deliver,
                         .complete = complete, .account_changed = changed, .log = log_record};
#ifdef GROWN
    host.later = later;
#endif
    memset(&place, 0xa5, sizeof place);
    place.table.struct_size = sizeof place.table;
    if (count > 2 && atoi(arguments[2])) host.struct_size = GATEWAY_HOST_SIZE_1 - (uint32_t)atoi(arguments[2]);
    if (count > 3 && atoi(arguments[3])) place.table.struct_size = GATEWAY_CHANNEL_SIZE_1 - (uint32_t)atoi(arguments[3]);
    uint32_t room = place.table.struct_size;
    int32_t opened = open_channel(&host, &place.table, error, sizeof error);
    const uint8_t *bytes = (const uint8_t *)&place;
    for (size_t i = opened == GATEWAY_OK ? room : sizeof(uint64_t); i < sizeof place; i++)
        if (bytes[i] != 0xa5) return printf("wrote byte %zu of %u\n", i, room), 1;
    if (opened != GATEWAY_OK) return printf("refused: %s\n", error), 0;
    printf("id %.*s\n", (int)place.table.id.count, (const char *)place.table.id.data);
    printf("has %d of %zu\n", (int)place.table.struct_size, sizeof place.table);
#ifdef GROWN
    printf("later %d\n", place.table.later ? place.table.later(place.table.instance) : -1);
#endif
    /* An unknown command is refused: the functions of version 1 are where they were. */
    gateway_bytes request = {(const uint8_t *)"{\"command\":\"none\"}", 18};
    place.table.command(place.table.instance, 1, request);
    place.table.shutdown(place.table.instance);
    printf("command %d\n", code);
    return 0;
}
