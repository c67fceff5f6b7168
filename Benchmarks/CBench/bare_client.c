/* The reference: what a client costs that reads for itself and only counts. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cbench.h"

enum { ROOM = 1 << 18 };

typedef struct {
    int fd;
    SSL *ssl;
    uint8_t *room;
    size_t start, end;
} bare;

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int send_all(bare *b, const void *bytes, size_t size) {
    return b->ssl ? SSL_write(b->ssl, bytes, (int)size) == (int)size : send(b->fd, bytes, size, 0) == (ssize_t)size;
}

/* Makes at least `size` bytes be at `start`; 0: the connection ended. */
static int have(bare *b, size_t size) {
    while (b->end - b->start < size) {
        if (b->start) memmove(b->room, b->room + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
        ssize_t n = b->ssl ? SSL_read(b->ssl, b->room + b->end, (int)(ROOM - b->end))
                           : recv(b->fd, b->room + b->end, b->end + 65536 <= ROOM ? 65536 : ROOM - b->end, 0);
        if (n <= 0) return 0;
        b->end += (size_t)n;
    }
    return 1;
}

/* Text in the benchmarks is ASCII; anything else would be looked at one character at a time. */
static int is_utf8(const uint8_t *text, size_t size) {
    uint64_t high = 0, word;
    size_t at = 0;
    for (; at + 8 <= size; at += 8) {
        memcpy(&word, text + at, 8);
        high |= word;
    }
    for (; at < size; at++) high |= text[at];
    if (!(high & 0x8080808080808080u)) return 1;
    for (at = 0; at < size;) {
        int more = text[at] < 0x80 ? 0 : text[at] < 0xC2 ? -1 : text[at] < 0xE0 ? 1 : text[at] < 0xF0 ? 2 : 3;
        if (more < 0 || at + (size_t)more >= size) return 0;
        for (int i = 1; i <= more; i++)
            if ((text[at + (size_t)i] & 0xC0) != 0x80) return 0;
        at += (size_t)more + 1;
    }
    return 1;
}

/* The next frame's payload; NULL: the end. */
static const uint8_t *next(bare *b, size_t *size) {
    if (!have(b, 2)) return NULL;
    size_t length = b->room[b->start + 1] & 127, head = length == 126 ? 4 : length == 127 ? 10 : 2;
    if (!have(b, head)) return NULL;
    const uint8_t *at = b->room + b->start + 2;
    if (head > 2) {
        length = 0;
        for (size_t i = 0; i < head - 2; i++) length = length << 8 | at[i];
    }
    if (length > ROOM / 2 || !have(b, head + length)) return NULL;
    const uint8_t *payload = b->room + b->start + head;
    b->start += head + length;
    *size = length;
    return is_utf8(payload, length) ? payload : NULL;
}

static int open_client(bare *b, int port, int uses_tls) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    b->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(b->fd, (struct sockaddr *)&address, sizeof address)) return 0;
    setsockopt(b->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (uses_tls) {
        SSL_CTX *context = SSL_CTX_new(TLS_client_method());
        b->ssl = SSL_new(context);
        SSL_CTX_free(context);
        SSL_set_read_ahead(b->ssl, 1);
        SSL_set_default_read_buffer_len(b->ssl, 65536);
        SSL_set_fd(b->ssl, b->fd);
        if (SSL_connect(b->ssl) != 1) return 0;
    }
    static const char request[] = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    if (!send_all(b, request, sizeof request - 1)) return 0;
    for (size_t size = 4;; size++) {
        if (!have(b, size)) return 0;
        if (memcmp(b->room + b->start + size - 4, "\r\n\r\n", 4)) continue;
        b->start += size;
        break;
    }
    size_t size;
    if (!next(b, &size)) return 0;
    /* CONNECT, masked with zeros. */
    static const char hello[] = "40/realtime,{\"token\":\"bare\"}";
    uint8_t frame[6 + sizeof hello] = {0x81, 0x80 | (sizeof hello - 1)};
    memcpy(frame + 6, hello, sizeof hello - 1);
    return send_all(b, frame, 6 + sizeof hello - 1) && next(b, &size);
}

static void *go(void *f) {
    feed_go(f);
    return NULL;
}

double bare_client_run(int port, int64_t frames, feed *f, int uses_tls) {
    bare b = {.room = malloc(ROOM)};
    pthread_t thread;
    double seconds = -1, first = 0;
    if (b.room && open_client(&b, port, uses_tls)) {
        pthread_create(&thread, NULL, go, f);
        size_t size;
        for (int64_t seen = 1; next(&b, &size); seen++) {
            if (seen == 1) first = cpu();
            if (seen < frames) continue;
            seconds = cpu() - first;
            break;
        }
        pthread_join(thread, NULL);
    }
    if (b.ssl) SSL_free(b.ssl);
    close(b.fd);
    free(b.room);
    return seconds;
}
