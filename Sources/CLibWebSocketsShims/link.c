#define _GNU_SOURCE
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// How much one read of the system may bring of TLS records, which are at most 16 KiB each.
enum { TLS_READ_AHEAD_BYTES = 64 * 1024 };

// Up to 64 are left to others: to transfers, which have to answer what the connections bring and leave 32 themselves; and to
// whoever cannot do without one, like Swift's thread pool, which looks at its threads by files in /proc and ends the process
// when it cannot open one.
int clws_is_last(int descriptor)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    rlim_t left = limit.rlim_cur / 8 < 64 ? limit.rlim_cur / 8 : 64;
    return (rlim_t)descriptor >= limit.rlim_cur - left;
}

// The library knows a socket by its number. The connection gets a number of its own, and the library's number is given to
// a socket that has hung up, so that what it does on closing (shutdown, close) reaches nobody.
struct clws_link *clws_link_take(struct clws_loop *loop, struct lws *wsi)
{
    SSL *ssl = lws_get_ssl(wsi);
    // The library has looked at this already; whoever changes how it is asked to shall not get past here.
    if (ssl && (!SSL_is_init_finished(ssl) || SSL_get_verify_result(ssl) != X509_V_OK))
        return NULL;
    struct clws_link *link = calloc(1, sizeof *link);
    if (!link)
        return NULL;
    int number = lws_get_socket_fd(wsi);
    link->fd = fcntl(number, F_DUPFD_CLOEXEC, 0);
    if (link->fd < 0 || clws_is_last(link->fd) || dup3(loop->hung_up, number, O_CLOEXEC) < 0) {
        if (link->fd >= 0)
            close(link->fd);
        free(link);
        return NULL;
    }
    if (ssl) {
        // On closing, the library says good-bye in the TLS session and drops its share of it: the first is kept from
        // being written (and counted), the second leaves ours.
        SSL_up_ref(ssl);
        SSL_set_quiet_shutdown(ssl, 1);
        link->ssl = ssl;
    }
    return link;
}

int clws_link_settle(struct clws_link *link)
{
    SSL *ssl = link->ssl;
    if (!ssl)
        return 0;
    SSL_set_shutdown(ssl, 0);
    SSL_set_quiet_shutdown(ssl, 0);
    // A second handshake would look for the library's connection, which is gone. TLS 1.3 knows none.
    SSL_set_options(ssl, SSL_OP_NO_RENEGOTIATION);
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_read_ahead(ssl, 1);
    SSL_set_default_read_buffer_len(ssl, TLS_READ_AHEAD_BYTES);
    return SSL_set_fd(ssl, link->fd) == 1 ? 0 : -1;
}

int clws_link_watch(struct clws_loop *loop, struct clws_link *link, uint64_t number)
{
    struct epoll_event event = { .events = EPOLLIN, .data.u64 = number };
    return epoll_ctl(loop->links, EPOLL_CTL_ADD, link->fd, &event);
}

int clws_link_watch_writing(struct clws_loop *loop, struct clws_link *link, uint64_t number, int wanted)
{
    struct epoll_event event = { .events = EPOLLIN | (wanted ? EPOLLOUT : 0), .data.u64 = number };
    return epoll_ctl(loop->links, EPOLL_CTL_MOD, link->fd, &event);
}

// What OpenSSL waits for is told apart nowhere: it writes only what was queued, and answers to the peer's key updates,
// both of which the next write or read takes up again.
static ptrdiff_t tls_outcome(SSL *ssl, int result)
{
    switch (SSL_get_error(ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return CLWS_WOULD_BLOCK;
    case SSL_ERROR_ZERO_RETURN: return CLWS_END;
    default: return CLWS_BROKEN;
    }
}

static ptrdiff_t outcome(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? CLWS_WOULD_BLOCK : CLWS_BROKEN;
}

ptrdiff_t clws_link_read(struct clws_link *link, void *bytes, size_t capacity)
{
    if (link->ssl) {
        ERR_clear_error();
        int count = SSL_read(link->ssl, bytes, capacity > INT32_MAX ? INT32_MAX : (int)capacity);
        return count > 0 ? count : tls_outcome(link->ssl, count);
    }
    ssize_t count = recv(link->fd, bytes, capacity, 0);
    return count >= 0 ? count : outcome();
}

int clws_link_pending(struct clws_link *link)
{
    return link->ssl && SSL_has_pending(link->ssl);
}

ptrdiff_t clws_link_write(struct clws_link *link, const void *bytes, size_t count)
{
    if (link->ssl) {
        ERR_clear_error();
        int written = SSL_write(link->ssl, bytes, count > INT32_MAX ? INT32_MAX : (int)count);
        return written > 0 ? written : tls_outcome(link->ssl, written) == CLWS_WOULD_BLOCK ? CLWS_WOULD_BLOCK
                                                                                            : CLWS_BROKEN;
    }
    ssize_t written = send(link->fd, bytes, count, MSG_NOSIGNAL);
    return written > 0 ? written : outcome();
}

void clws_link_finish_writing(struct clws_link *link)
{
    if (link->ssl) {
        ERR_clear_error();
        SSL_shutdown(link->ssl);
    }
    shutdown(link->fd, SHUT_WR);
}

void clws_link_free(struct clws_link *link)
{
    if (link->ssl)
        SSL_free(link->ssl);
    close(link->fd);
    free(link);
}

int clws_accept_for(const char *key, char accept[29])
{
    static const char suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int count = 0;
    if (strlen(key) + sizeof suffix > sizeof text)
        return -1;
    strcpy(text, key);
    strcat(text, suffix);
    if (!EVP_Digest(text, strlen(text), digest, &count, EVP_sha1(), NULL) || count != 20)
        return -1;
    EVP_EncodeBlock((unsigned char *)accept, digest, (int)count);
    return 0;
}
