/* libcurl for Swift: the header, and functions of fixed arity for the variadic ones, which Swift cannot call. */
#ifndef CLIBCURL_H
#define CLIBCURL_H

#include <curl/curl.h>
#include <stdbool.h>

#if LIBCURL_VERSION_NUM < 0x075700
#error "libcurl 7.87 or newer is needed (CURLOPT_QUICK_EXIT)"
#endif

/* curl_global_init with the default flags; may be called any number of times, from any thread. */
CURLcode clibcurl_global_init(void);

CURLcode clibcurl_set_long(CURL *easy, CURLoption option, long value);
CURLcode clibcurl_set_offset(CURL *easy, CURLoption option, curl_off_t value);
/* libcurl copies the string. */
CURLcode clibcurl_set_string(CURL *easy, CURLoption option, const char *value);
/* The pointer is kept by libcurl, not copied. */
CURLcode clibcurl_set_pointer(CURL *easy, CURLoption option, void *value);

/* Each sets the callback and the pointer it is given. */
CURLcode clibcurl_set_write(CURL *easy, curl_write_callback callback, void *context);
CURLcode clibcurl_set_header(CURL *easy, curl_write_callback callback, void *context);
CURLcode clibcurl_set_read(CURL *easy, curl_read_callback callback, void *context);
CURLcode clibcurl_set_seek(CURL *easy, curl_seek_callback callback, void *context);
CURLcode clibcurl_set_prereq(CURL *easy, curl_prereq_callback callback, void *context);
CURLcode clibcurl_set_opensocket(CURL *easy, curl_opensocket_callback callback, void *context);

/* The value, or 0 / NULL if libcurl does not know it. */
long clibcurl_get_long(CURL *easy, CURLINFO info);
curl_off_t clibcurl_get_offset(CURL *easy, CURLINFO info);

CURLMcode clibcurl_multi_set_long(CURLM *multi, CURLMoption option, long value);

/* Takes the next "done" message. False when there is none. */
bool clibcurl_multi_next_done(CURLM *multi, CURL **easy, CURLcode *result);

#endif
