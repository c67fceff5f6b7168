/* The reference for memory: idle connections of libwebsockets. */
#include <libwebsockets.h>
#include <string.h>

#include "cbench.h"

typedef struct {
    int failed, open;
} idle;

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t size) {
    idle *b = lws_context_user(lws_get_context(wsi));
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
        /* The answer to the CONNECT. */
        if (size >= 2 && ((const char *)in)[0] == '4' && ((const char *)in)[1] == '0') b->open++;
        break;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED: b->failed = 1; break;
    default: break;
    }
    return 0;
}

static struct lws_context *context_for(idle *b, int port, int connections) {
    static const struct lws_protocols protocols[] = {{"idle", callback, 0, 65536, 0, NULL, 0}, {0}};
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
        to.local_protocol_name = "idle";
        if (!lws_client_connect_via_info(&to)) b->failed = 1;
        for (int turn = 0; b->open <= i && turn < 1000 && !b->failed; turn++) lws_service(context, 0);
    }
    return context;
}

int idle_client_open(int port, int connections) {
    static idle b;
    return context_for(&b, port, connections) ? b.open : 0;
}
