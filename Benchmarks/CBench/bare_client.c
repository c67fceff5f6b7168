/* The reference: what libwebsockets alone costs. Connects, answers the handshake, counts frames. */
#include <libwebsockets.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "cbench.h"

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

typedef struct {
    int64_t expected, frames;
    double first, last;
    int connected, failed, open;
} bare;

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    bare *b = lws_context_user(lws_get_context(wsi));
    (void)user;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED: lws_callback_on_writable(wsi); break;
    case LWS_CALLBACK_CLIENT_WRITEABLE: {
        unsigned char hello[LWS_PRE + 64];
        int n = lws_snprintf((char *)hello + LWS_PRE, 64, "40/realtime,{\"token\":\"bare\"}");
        lws_write(wsi, hello + LWS_PRE, (size_t)n, LWS_WRITE_TEXT);
        break;
    }
    case LWS_CALLBACK_CLIENT_RECEIVE:
        if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi)) break;
        /* The open packet and the answer to the CONNECT come before the stream. */
        if (size >= 2 && ((const char *)in)[0] == '4' && ((const char *)in)[1] == '0') b->open++;
        if (b->expected == 0 || b->open == 0 || (size >= 2 && ((const char *)in)[1] == '0')) break;
        if (b->frames++ == 0) b->first = cpu();
        if (b->frames == b->expected) b->last = cpu();
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED: b->failed = 1; break;
    default: break;
    }
    return 0;
}

static struct lws_context *context_for(bare *b, int port, int connections) {
    static const struct lws_protocols protocols[] = {{"bare", callback, 0, 65536, 0, NULL, 0}, {0}};
    struct lws_context_creation_info info = {0};
    lws_set_log_level(0, NULL);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.pt_serv_buf_size = 65536;
    info.user = b;
    struct lws_context *context = lws_create_context(&info);
    for (int i = 0; context && i < connections; i++) {
        struct lws_client_connect_info to = {0};
        to.context = context;
        to.address = to.host = "127.0.0.1";
        to.port = port;
        to.path = "/socket.io/?EIO=4&transport=websocket";
        to.local_protocol_name = "bare";
        if (!lws_client_connect_via_info(&to)) b->failed = 1;
        for (int turn = 0; b->open <= i && turn < 1000 && !b->failed; turn++) lws_service(context, 0);
    }
    return context;
}

static void *go(void *f) {
    feed_go(f);
    return NULL;
}

double bare_client_run(int port, int64_t frames, feed *f) {
    bare b = {.expected = frames};
    pthread_t thread;
    pthread_create(&thread, NULL, go, f);
    struct lws_context *context = context_for(&b, port, 1);
    while (context && b.last == 0 && !b.failed) lws_service(context, 0);
    pthread_join(thread, NULL);
    lws_context_destroy(context);
    return b.last == 0 ? -1 : b.last - b.first;
}

int bare_client_idle(int port, int connections) {
    static bare b;
    return context_for(&b, port, connections) ? b.open : 0;
}
