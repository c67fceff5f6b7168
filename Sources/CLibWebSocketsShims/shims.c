#define _GNU_SOURCE
#include "CLibWebSocketsShims.h"

#include <libwebsockets.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct clws_loop {
    lws_sorted_usec_list_t timer;
    struct lws_context *context;
    struct clws_handlers handlers;
    void *owner;
    int keeps_tls;
    int receive_buffer_bytes;
};

// No pings of the library's own: Engine.IO has its own books of what is alive.
static const lws_retry_bo_t no_validity_checks = { .secs_since_valid_ping = 0, .secs_since_valid_hangup = 0 };

// The library's own limits stand far behind ours, so that ours name the phase that took too long.
enum { LAST_RESORT_SECONDS = 600 };

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count);

static const struct lws_protocols protocols[] = {
    { .name = "realtime", .callback = callback, .per_session_data_size = 0, .rx_buffer_size = 0 },
    { NULL, NULL, 0, 0, 0, NULL, 0 },
};

static void no_log(int level, const char *line)
{
    (void)level;
    (void)line;
}

// The library looks for the server's name among the certificate's DNS names only. If the name is a numeric address,
// an IP address in the certificate is what counts (RFC 9110, 4.3.5); then, and only then, the mismatch is no error.
static int is_for_address(struct clws_handlers *handlers, void *connection, X509_STORE_CTX *store)
{
    char address[64];
    if (X509_STORE_CTX_get_error(store) != X509_V_ERR_HOSTNAME_MISMATCH
        || !handlers->numeric_host(connection, address, sizeof address))
        return 0;
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (!certificate || X509_check_ip_asc(certificate, address, 0) != 1)
        return 0;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count)
{
    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        break;
    default:
        return 0;
    }

    void *connection = lws_get_opaque_user_data(wsi);
    if (!connection) {
        // Detached: whatever still arrives is of no interest, and a connection that opens must not stay.
        return reason == LWS_CALLBACK_CLIENT_RECEIVE || reason == LWS_CALLBACK_CLIENT_ESTABLISHED ? -1 : 0;
    }
    struct clws_loop *loop = lws_context_user(lws_get_context(wsi));
    struct clws_handlers *handlers = &loop->handlers;

    switch (reason) {
    case LWS_CALLBACK_CLIENT_RECEIVE: {
        size_t remaining = lws_remaining_packet_payload(wsi);
        int flags = (lws_is_first_fragment(wsi) ? CLWS_FIRST : 0)
            | (lws_is_final_fragment(wsi) && remaining == 0 ? CLWS_FINAL : 0)
            | (lws_frame_is_binary(wsi) ? CLWS_BINARY : 0);
        return handlers->received(connection, in, count, flags, remaining);
    }
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return handlers->writable(connection);
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        handlers->established(connection);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
        unsigned char **cursor = in;
        return handlers->headers(connection, wsi, cursor, *cursor + count);
    }
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: {
        const unsigned char *bytes = in;
        uint16_t code = count >= 2 ? (uint16_t)((bytes[0] << 8) | bytes[1]) : 0;
        size_t skipped = count >= 2 ? 2 : count;
        handlers->peer_closed(connection, code, bytes ? bytes + skipped : NULL, count - skipped);
        return 0;
    }
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        // `count` is OpenSSL's own verdict so far; 0 here leaves it as it is, unless the error is taken back.
        if (!count && !is_for_address(handlers, connection, user))
            handlers->distrusted(connection, X509_verify_cert_error_string(X509_STORE_CTX_get_error(user)));
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR: {
        int status = (int)lws_http_client_http_response(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        handlers->failed(connection, in, in ? count : 0, status);
        return 0;
    }
    case LWS_CALLBACK_CLIENT_CLOSED:
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        handlers->closed(connection);
        return 0;
    default:
        return 0;
    }
}

static void timer_fired(lws_sorted_usec_list_t *timer)
{
    struct clws_loop *loop = lws_container_of(timer, struct clws_loop, timer);
    loop->handlers.timer(loop->owner);
}

int clws_write_headroom(void)
{
    return LWS_PRE;
}

// Every context that is created with the global TLS initialisation gives libwebsockets a new process-wide index, under
// which it finds its connection in OpenSSL's structures; handshakes under way in other contexts are then not found and
// fail (seen: "connect SSL err 1" for a good certificate while another loop started). So it must happen once in the
// process, even with several copies of this code loaded: the first to register a name with OpenSSL does it.
static int is_first_in_process(void)
{
    return OBJ_create("2.25.190413972834211347751904", "clws-tls", "libwebsockets TLS initialised") != NID_undef;
}

static struct lws_context *create_context(struct lws_context_creation_info *info, int keeps_tls)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    if (keeps_tls && is_first_in_process())
        info->options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    ERR_clear_error();
    struct lws_context *context = lws_create_context(info);
    pthread_mutex_unlock(&lock);
    return context;
}

struct clws_loop *clws_loop_create(const struct clws_options *options, struct clws_handlers handlers, void *owner)
{
    struct clws_loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->handlers = handlers;
    loop->owner = owner;
    loop->keeps_tls = options->keeps_tls;
    loop->receive_buffer_bytes = options->receive_buffer_bytes;
    if (options->silences_log)
        lws_set_log_level(0, no_log);

    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.gid = (gid_t)-1;
    info.uid = (uid_t)-1;
    info.user = loop;
    info.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS;
    if (options->validates_utf8)
        info.options |= LWS_SERVER_OPTION_VALIDATE_UTF8;
    info.pt_serv_buf_size = (unsigned int)options->receive_buffer_bytes;
    info.timeout_secs = LAST_RESORT_SECONDS;
    info.connect_timeout_secs = LAST_RESORT_SECONDS;
    info.retry_and_idle_policy = &no_validity_checks;
    loop->context = create_context(&info, options->keeps_tls);
    if (!loop->context) {
        free(loop);
        return NULL;
    }
    return loop;
}

void clws_loop_destroy(struct clws_loop *loop)
{
    lws_sul_cancel(&loop->timer);
    lws_context_destroy(loop->context);
    free(loop);
}

int clws_loop_service(struct clws_loop *loop)
{
    return lws_service(loop->context, 0);
}

void clws_loop_wake(struct clws_loop *loop)
{
    lws_cancel_service(loop->context);
}

void clws_loop_set_timer(struct clws_loop *loop, int64_t microseconds)
{
    if (microseconds < 0)
        lws_sul_cancel(&loop->timer);
    else
        lws_sul_schedule(loop->context, 0, &loop->timer, timer_fired, microseconds);
}

struct lws_vhost *clws_vhost_create(struct clws_loop *loop, const char *name, int uses_tls, const char *authority_file)
{
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = protocols;
    info.vhost_name = name;
    info.connect_timeout_secs = LAST_RESORT_SECONDS;
    info.timeout_secs = LAST_RESORT_SECONDS;
    info.retry_and_idle_policy = &no_validity_checks;
    if (uses_tls) {
        if (!loop->keeps_tls)
            return NULL;
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
        info.client_ssl_ca_filepath = authority_file;
        if (authority_file)
            info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    }
    return lws_create_vhost(loop->context, &info);
}

struct lws *clws_connect(struct clws_loop *loop, const struct clws_target *target)
{
    struct lws_client_connect_info info;
    memset(&info, 0, sizeof info);
    info.context = loop->context;
    info.address = target->address;
    info.port = target->port;
    info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (target->uses_tls ? LCCSCF_USE_SSL : 0);
    info.path = target->path;
    info.host = target->host;
    info.origin = target->origin;
    info.local_protocol_name = protocols[0].name;
    info.vhost = target->vhost;
    info.opaque_user_data = target->connection;
    info.alpn = "http/1.1";
    info.retry_and_idle_policy = &no_validity_checks;
    return lws_client_connect_via_info(&info);
}

int clws_append_header(struct lws *wsi, const char *name, const char *value, unsigned char **cursor, unsigned char *end)
{
    return lws_add_http_header_by_name(wsi, (const unsigned char *)name, (const unsigned char *)value,
                                       (int)strlen(value), cursor, end);
}

void clws_want_write(struct lws *wsi)
{
    lws_callback_on_writable(wsi);
}

int clws_write(struct lws *wsi, unsigned char *bytes, size_t count, int is_binary)
{
    return lws_write(wsi, bytes, count, is_binary ? LWS_WRITE_BINARY : LWS_WRITE_TEXT) < (int)count ? -1 : 0;
}

void clws_set_close_reason(struct lws *wsi, uint16_t code, const unsigned char *reason, size_t count)
{
    // A close frame carries at most 125 bytes, two of them the code.
    lws_close_reason(wsi, (enum lws_close_status)code, (unsigned char *)reason, count > 123 ? 123 : count);
}

void clws_detach(struct lws *wsi)
{
    lws_set_opaque_user_data(wsi, NULL);
}

void clws_kill(struct lws *wsi)
{
    lws_set_timeout(wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

int clws_is_tcp_connected(struct lws *wsi)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    return getpeername(lws_get_socket_fd(wsi), (struct sockaddr *)&peer, &length) == 0;
}

void clws_name_thread(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}
