#define _GNU_SOURCE
#include "internal.h"

#include <fcntl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

static void fail(struct clws_attempt *attempt, const void *words, size_t count)
{
    void *connection = attempt->connection;
    attempt->connection = NULL;
    if (connection)
        attempt->loop->handlers.failed(connection, words, words ? count : 0);
}

// The library is through with the connection.
static void gone(struct clws_attempt *attempt)
{
    void *connection = attempt->connection;
    struct clws_link *link = attempt->link;
    struct clws_handlers *handlers = &attempt->loop->handlers;
    *attempt->previous = attempt->next;
    if (attempt->next)
        attempt->next->previous = attempt->previous;
    free(attempt);
    if (link && connection && !clws_link_settle(link)) {
        handlers->connected(connection, link);
        return;
    }
    if (link)
        clws_link_free(link);
    static const char words[] = "closed before it was open";
    if (connection)
        handlers->failed(connection, words, sizeof words - 1);
}

int clws_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t count)
{
    switch (reason) {
    case LWS_CALLBACK_RAW_RX_FILE: {
        struct clws_loop *loop = lws_context_user(lws_get_context(wsi));
        loop->handlers.ready(loop->owner);
        return 0;
    }
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_WSI_DESTROY:
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        break;
    default:
        return 0;
    }
    struct clws_attempt *attempt = lws_get_opaque_user_data(wsi);
    if (!attempt)
        return 0;
    struct clws_handlers *handlers = &attempt->loop->handlers;

    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        // TCP and TLS stand, and the library would write its upgrade request now. It is to do no more: with the answer
        // it would read, and keep, whatever the server sends right behind it.
        if (attempt->connection && !attempt->link) {
            attempt->link = clws_link_take(attempt->loop, wsi);
            static const char words[] = "the connection cannot be taken over; check the limit of open files (ulimit -n)";
            if (!attempt->link)
                fail(attempt, words, sizeof words - 1);
        }
        return -1;
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        // `count` is OpenSSL's own verdict so far; 0 here leaves it as it is, unless the error is taken back.
        if (!count && attempt->connection && !is_for_address(handlers, attempt->connection, user))
            handlers->distrusted(attempt->connection,
                                 X509_verify_cert_error_string(X509_STORE_CTX_get_error(user)));
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        if (!attempt->link)
            fail(attempt, in, count);
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        lws_set_opaque_user_data(wsi, NULL);
        attempt->wsi = NULL;
        gone(attempt);
        return 0;
    default:
        return 0;
    }
}

struct lws_vhost *clws_vhost_create(struct clws_loop *loop, const char *name, int uses_tls, const char *authority_file)
{
    struct lws_context_creation_info info;
    memset(&info, 0, sizeof info);
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.protocols = clws_protocols;
    info.vhost_name = name;
    info.connect_timeout_secs = CLWS_LAST_RESORT_SECONDS;
    info.timeout_secs = CLWS_LAST_RESORT_SECONDS;
    info.retry_and_idle_policy = &clws_no_validity_checks;
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

// Whether another connection would have one of the last descriptors.
static int is_short(struct clws_loop *loop)
{
    int probe = fcntl(loop->hung_up, F_DUPFD_CLOEXEC, 0);
    int is = probe < 0 || clws_is_last(probe);
    if (probe >= 0)
        close(probe);
    return is;
}

struct clws_attempt *clws_connect(struct clws_loop *loop, const struct clws_target *target)
{
    if (is_short(loop)) {
        static const char words[] = "too few descriptors are left; check the limit of open files (ulimit -n)";
        loop->handlers.failed(target->connection, words, sizeof words - 1);
        return NULL;
    }
    struct clws_attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return NULL;
    attempt->loop = loop;
    attempt->connection = target->connection;
    attempt->next = loop->attempts;
    attempt->previous = &loop->attempts;
    if (attempt->next)
        attempt->next->previous = &attempt->next;
    loop->attempts = attempt;

    struct lws_client_connect_info info;
    memset(&info, 0, sizeof info);
    info.context = loop->context;
    info.address = target->address;
    info.port = target->port;
    info.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (target->uses_tls ? LCCSCF_USE_SSL : 0);
    info.path = "/";
    info.host = target->host;
    info.local_protocol_name = clws_protocols[0].name;
    info.vhost = target->vhost;
    info.opaque_user_data = attempt;
    info.alpn = "http/1.1";
    info.retry_and_idle_policy = &clws_no_validity_checks;
    struct lws *opened = lws_client_connect_via_info(&info);
    // Where it fails within the call the attempt may be gone, or may be left over without a connection; the list knows.
    for (struct clws_attempt *known = loop->attempts; known; known = known->next) {
        if (known != attempt)
            continue;
        if (opened) {
            attempt->wsi = opened;
            return attempt;
        }
        attempt->connection = NULL;
    }
    return NULL;
}

void clws_abandon(struct clws_attempt *attempt)
{
    attempt->connection = NULL;
    if (attempt->wsi && !attempt->link)
        lws_set_timeout(attempt->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_ASYNC);
}

int clws_is_tcp_connected(struct clws_attempt *attempt)
{
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    if (attempt->link)
        return 1;
    return attempt->wsi && getpeername(lws_get_socket_fd(attempt->wsi), (struct sockaddr *)&peer, &length) == 0;
}
