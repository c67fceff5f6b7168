#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <libwebsockets.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cbench.h"

typedef struct client client;

struct feed {
    int listener, port;
    SSL_CTX *tls;
    char *login, *channels;
    uint8_t *bytes;
    size_t size;
    int64_t count, window;
    pthread_mutex_t lock;
    pthread_cond_t ready;
    client *sockets[4096];
    int socket_count;
};

struct client {
    feed *f;
    int fd;
    SSL *ssl;
    /* A TLS session is for one thread at a time; the connection's own and the feeding one share it. */
    pthread_mutex_t lock;
};

static ssize_t receive(client *c, void *bytes, size_t size) {
    if (!c->ssl) return recv(c->fd, bytes, size, 0);
    for (;;) {
        struct pollfd ready = {.fd = c->fd, .events = POLLIN};
        if (!SSL_has_pending(c->ssl)) poll(&ready, 1, -1);
        pthread_mutex_lock(&c->lock);
        int n = SSL_read(c->ssl, bytes, (int)size);
        pthread_mutex_unlock(&c->lock);
        return n;
    }
}

static ssize_t transmit(client *c, const void *bytes, size_t size) {
    if (!c->ssl) return send(c->fd, bytes, size, MSG_NOSIGNAL);
    pthread_mutex_lock(&c->lock);
    int n = SSL_write(c->ssl, bytes, (int)size);
    pthread_mutex_unlock(&c->lock);
    return n;
}

static int write_all(client *c, const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    while (size > 0) {
        ssize_t n = transmit(c, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

static size_t frame_header(uint8_t *out, size_t payload) {
    out[0] = 0x81;
    if (payload < 126) {
        out[1] = (uint8_t)payload;
        return 2;
    }
    if (payload < 65536) {
        out[1] = 126;
        out[2] = (uint8_t)(payload >> 8);
        out[3] = (uint8_t)payload;
        return 4;
    }
    out[1] = 127;
    for (int i = 0; i < 8; i++) out[2 + i] = (uint8_t)((uint64_t)payload >> (56 - 8 * i));
    return 10;
}

static int send_text(client *c, const char *text) {
    uint8_t frame[2048];
    size_t size = strlen(text), head = frame_header(frame, size);
    memcpy(frame + head, text, size);
    return write_all(c, frame, head + size);
}

static int read_all(client *c, void *bytes, size_t size) {
    uint8_t *at = bytes;
    while (size > 0) {
        ssize_t n = receive(c, at, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

/* One masked frame of the client, as text. */
static int read_frame(client *c, char *text, size_t capacity) {
    uint8_t head[2], mask[4], more[8];
    if (read_all(c, head, 2)) return -1;
    size_t size = head[1] & 127;
    if (size == 126) {
        if (read_all(c, more, 2)) return -1;
        size = (size_t)more[0] << 8 | more[1];
    } else if (size == 127) {
        return -1;
    }
    if (read_all(c, mask, 4) || size >= capacity || read_all(c, text, size)) return -1;
    for (size_t i = 0; i < size; i++) text[i] = (char)(text[i] ^ mask[i % 4]);
    text[size] = 0;
    return (head[0] & 15) == 8 ? -1 : (int)size;
}

static void answer(client *c, const char *status, const char *body) {
    char head[256];
    int size = snprintf(head, sizeof head,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", status,
                        strlen(body));
    if (!write_all(c, head, (size_t)size)) write_all(c, body, strlen(body));
}

static void joined(client *c) {
    feed *f = c->f;
    pthread_mutex_lock(&f->lock);
    if (f->socket_count < 4096) f->sockets[f->socket_count++] = c;
    pthread_cond_broadcast(&f->ready);
    pthread_mutex_unlock(&f->lock);
}

static void realtime(client *c, const char *request) {
    const char *key = strcasestr(request, "sec-websocket-key:");
    if (!key) return;
    key += 18;
    while (*key == ' ') key++;
    char seed[128], accept[64], head[256];
    unsigned char digest[20];
    int length = (int)strcspn(key, "\r\n");
    int size = snprintf(seed, sizeof seed, "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", length, key);
    lws_SHA1((unsigned char *)seed, (size_t)size, digest);
    lws_b64_encode_string((const char *)digest, 20, accept, sizeof accept);
    size = snprintf(head, sizeof head,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: %s\r\n\r\n",
                    accept);
    if (write_all(c, head, (size_t)size)) return;
    if (send_text(c, "0{\"sid\":\"e\",\"upgrades\":[],\"pingInterval\":300000,\"pingTimeout\":300000,"
                      "\"maxPayload\":1000000}"))
        return;
    char text[65536];
    while (read_frame(c, text, sizeof text) >= 0) {
        if (!strncmp(text, "40", 2)) {
            send_text(c, "40/realtime,{\"sid\":\"s\"}");
            if (strstr(text, "bare")) joined(c);
        } else if (!strncmp(text, "42/realtime,", 12)) {
            long id = atol(text + 12);
            char ack[64];
            snprintf(ack, sizeof ack, "43/realtime,%ld[]", id);
            if (text[12] != '[') send_text(c, ack);
            if (strstr(text, "join_channel")) joined(c);
        }
    }
}

static void *serve(void *argument) {
    client *c = argument;
    char request[16384];
    if (c->ssl && SSL_accept(c->ssl) != 1) {
        close(c->fd);
        return NULL;
    }
    size_t have = 0;
    for (;;) {
        ssize_t n = receive(c, request + have, sizeof request - 1 - have);
        if (n <= 0) break;
        have += (size_t)n;
        request[have] = 0;
        char *end = strstr(request, "\r\n\r\n");
        if (!end) continue;
        char *length = strcasestr(request, "content-length:");
        size_t body = length ? (size_t)atol(length + 15) : 0;
        if (have < (size_t)(end + 4 - request) + body) continue;
        if (strstr(request, "/socket.io/")) {
            realtime(c, request);
            break;
        }
        if (strstr(request, "/auth/agent/login")) answer(c, "201 Created", c->f->login);
        else if (strstr(request, "/messages")) answer(c, "200 OK", "[]");
        else answer(c, "200 OK", c->f->channels);
        have = 0;
    }
    /* Not freed: the feeding thread may know it. A run has a few. */
    if (!c->ssl) shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    return NULL;
}

static void *accept_loop(void *argument) {
    feed *f = argument;
    for (;;) {
        int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return NULL;
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        client *c = calloc(1, sizeof *c);
        c->f = f;
        c->fd = fd;
        pthread_mutex_init(&c->lock, NULL);
        if (f->tls && (c->ssl = SSL_new(f->tls))) SSL_set_fd(c->ssl, fd);
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 256 * 1024);
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
        pthread_create(&thread, &attributes, serve, c);
        pthread_attr_destroy(&attributes);
    }
}

feed *feed_start(const char *login, const char *channels, const char *certificate, const char *key) {
    feed *f = calloc(1, sizeof *f);
    if (certificate) {
        f->tls = SSL_CTX_new(TLS_server_method());
        if (SSL_CTX_use_certificate_chain_file(f->tls, certificate) != 1 ||
            SSL_CTX_use_PrivateKey_file(f->tls, key, SSL_FILETYPE_PEM) != 1)
            return NULL;
    }
    f->login = strdup(login);
    f->channels = strdup(channels);
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->ready, NULL);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(f->listener, (struct sockaddr *)&address, size) || listen(f->listener, 1024) ||
        getsockname(f->listener, (struct sockaddr *)&address, &size))
        return NULL;
    f->port = ntohs(address.sin_port);
    pthread_t thread;
    pthread_create(&thread, NULL, accept_loop, f);
    pthread_detach(thread);
    return f;
}

int feed_port(const feed *f) { return f->port; }

void feed_set_login(feed *f, const char *login) {
    free(f->login);
    f->login = strdup(login);
}

void feed_prepare(feed *f, const char *prefix, const char *suffix, int64_t first, int64_t count) {
    size_t one = strlen(prefix) + strlen(suffix) + 40;
    free(f->bytes);
    f->bytes = malloc(one * (size_t)count);
    f->count = count;
    f->size = 0;
    char number[24];
    for (int64_t i = 0; i < count; i++) {
        int digits = snprintf(number, sizeof number, "%lld", (long long)(first + i));
        size_t payload = strlen(prefix) + strlen(suffix) + (size_t)digits;
        f->size += frame_header(f->bytes + f->size, payload);
        memcpy(f->bytes + f->size, prefix, strlen(prefix));
        f->size += strlen(prefix);
        memcpy(f->bytes + f->size, number, (size_t)digits);
        f->size += (size_t)digits;
        memcpy(f->bytes + f->size, suffix, strlen(suffix));
        f->size += strlen(suffix);
    }
    pthread_mutex_lock(&f->lock);
    f->socket_count = 0;
    pthread_mutex_unlock(&f->lock);
}

void feed_set_window(feed *f, int64_t messages) { f->window = messages; }

/* Waits until not more than the window would be on their way. */
static void wait_for_room(const feed *f, size_t sent, size_t block) {
    if (!f->window) return;
    double each = (double)f->size / (double)f->count;
    while ((double)(sent + block) / each > (double)(count_so_far() + f->window)) usleep(100);
}

void feed_go(feed *f) {
    pthread_mutex_lock(&f->lock);
    while (f->socket_count == 0) pthread_cond_wait(&f->ready, &f->lock);
    client *c = f->sockets[f->socket_count - 1];
    pthread_mutex_unlock(&f->lock);
    for (size_t at = 0; at < f->size;) {
        size_t most = f->window ? (size_t)((double)f->size / (double)f->count * (double)f->window / 4) + 1 : 65536;
        size_t block = f->size - at < most ? f->size - at : most;
        wait_for_room(f, at, block);
        if (write_all(c, f->bytes + at, block)) return;
        at += block;
    }
}

void feed_stop(feed *f) { shutdown(f->listener, SHUT_RDWR); }
