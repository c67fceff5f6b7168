/* Searches in bytes that Swift's vectors are too slow for: there is no way from Swift to a mask of sixteen comparisons in
 * one instruction. In the header, so that they are compiled into their callers. */
#ifndef CBYTESCAN_H
#define CBYTESCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What is looked for besides the quote and the backslash. */
enum { BYTE_SCAN_NOTHING = 0, BYTE_SCAN_CONTROL = 1, BYTE_SCAN_HIGH = 2 };

#define BYTE_SCAN_INLINE static inline __attribute__((always_inline))

BYTE_SCAN_INLINE int byte_scan_is(uint8_t byte, int kind) {
    return byte == '"' || byte == '\\' || ((kind & BYTE_SCAN_CONTROL) && byte < 0x20) ||
           ((kind & BYTE_SCAN_HIGH) && byte >= 0x80);
}

#if defined(__SSE2__)

enum { BYTE_SCAN_BLOCK = 16 };

BYTE_SCAN_INLINE __m128i byte_scan_hits(const uint8_t *at, int kind) {
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i hits = _mm_or_si128(
        _mm_cmpeq_epi8(block, _mm_set1_epi8('"')), _mm_cmpeq_epi8(block, _mm_set1_epi8('\\')));
    if ((kind & BYTE_SCAN_CONTROL) && (kind & BYTE_SCAN_HIGH))
        /* Signed: bytes from 0x80 are negative. */
        return _mm_or_si128(hits, _mm_cmplt_epi8(block, _mm_set1_epi8(0x20)));
    if (kind & BYTE_SCAN_CONTROL)
        return _mm_or_si128(hits, _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block));
    return hits;
}

/* One bit for each byte of a block. */
BYTE_SCAN_INLINE uint64_t byte_scan_block(const uint8_t *at, int kind) {
    return (uint64_t)(unsigned)_mm_movemask_epi8(byte_scan_hits(at, kind));
}
BYTE_SCAN_INLINE intptr_t byte_scan_place(uint64_t hits) { return __builtin_ctzll(hits); }
BYTE_SCAN_INLINE uint64_t byte_scan_without(uint64_t hits, intptr_t first) { return hits >> first << first; }

#if defined(__x86_64__)

/* The same with 32 bytes, on processors that can. What is compiled for these stands in functions of its own. */
#define BYTE_SCAN_WIDE __attribute__((target("avx2")))

static inline BYTE_SCAN_WIDE __attribute__((always_inline)) __m256i byte_scan_wide_hits(const uint8_t *at, int kind) {
    __m256i block = _mm256_loadu_si256((const __m256i *)(const void *)at);
    __m256i hits = _mm256_or_si256(
        _mm256_cmpeq_epi8(block, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(block, _mm256_set1_epi8('\\')));
    if ((kind & BYTE_SCAN_CONTROL) && (kind & BYTE_SCAN_HIGH))
        return _mm256_or_si256(hits, _mm256_cmpgt_epi8(_mm256_set1_epi8(0x20), block));
    if (kind & BYTE_SCAN_CONTROL)
        return _mm256_or_si256(hits, _mm256_cmpeq_epi8(_mm256_min_epu8(block, _mm256_set1_epi8(0x1F)), block));
    return hits;
}

static inline BYTE_SCAN_WIDE __attribute__((always_inline)) intptr_t
byte_scan_wide_blocks(const uint8_t *text, intptr_t at, intptr_t end, int kind) {
    while (at + 128 <= end) {
        __m256i two = _mm256_or_si256(byte_scan_wide_hits(text + at, kind), byte_scan_wide_hits(text + at + 32, kind));
        __m256i more =
            _mm256_or_si256(byte_scan_wide_hits(text + at + 64, kind), byte_scan_wide_hits(text + at + 96, kind));
        if (_mm256_movemask_epi8(_mm256_or_si256(two, more))) break;
        at += 128;
    }
    return at;
}

/* As byte_scan_run below. */
static BYTE_SCAN_WIDE __attribute__((noinline, unused)) intptr_t
byte_scan_run_wide(const uint8_t *text, intptr_t at, intptr_t end, int kind) {
    switch (kind) {
    case BYTE_SCAN_NOTHING: return byte_scan_wide_blocks(text, at, end, BYTE_SCAN_NOTHING);
    case BYTE_SCAN_CONTROL: return byte_scan_wide_blocks(text, at, end, BYTE_SCAN_CONTROL);
    default: return byte_scan_wide_blocks(text, at, end, BYTE_SCAN_CONTROL | BYTE_SCAN_HIGH);
    }
}

/* Passes blocks of ASCII; stops before one that is not, or where fewer than one is left. */
static BYTE_SCAN_WIDE __attribute__((noinline, unused)) intptr_t
byte_scan_ascii_wide(const uint8_t *text, intptr_t at, intptr_t end) {
    while (at + 128 <= end) {
        __m256i two = _mm256_or_si256(
            _mm256_loadu_si256((const __m256i *)(const void *)(text + at)),
            _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 32)));
        __m256i more = _mm256_or_si256(
            _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 64)),
            _mm256_loadu_si256((const __m256i *)(const void *)(text + at + 96)));
        if (_mm256_movemask_epi8(_mm256_or_si256(two, more))) break;
        at += 128;
    }
    return at;
}

/* Less than this is not worth a call. */
enum { BYTE_SCAN_LONG = 1024 };

#endif

/* Blocks four at a time, for long text; stops before the block with a hit, or where fewer than four are left. */
BYTE_SCAN_INLINE intptr_t byte_scan_run(const uint8_t *text, intptr_t at, intptr_t end, int kind) {
#if defined(__x86_64__)
    if (end - at >= BYTE_SCAN_LONG && __builtin_cpu_supports("avx2")) at = byte_scan_run_wide(text, at, end, kind);
#endif
    while (at + 64 <= end) {
        __m128i two = _mm_or_si128(byte_scan_hits(text + at, kind), byte_scan_hits(text + at + 16, kind));
        __m128i more = _mm_or_si128(byte_scan_hits(text + at + 32, kind), byte_scan_hits(text + at + 48, kind));
        if (_mm_movemask_epi8(_mm_or_si128(two, more))) break;
        at += 64;
    }
    return at;
}

#else

enum { BYTE_SCAN_BLOCK = 8 };

#define BYTE_SCAN_ALL(byte) (0x0101010101010101u * (uint64_t)(byte))

/* The highest bit of each byte that is hit. Above the first hit there may be false ones, which is of no matter: a borrow
 * only goes upwards. */
BYTE_SCAN_INLINE uint64_t byte_scan_block(const uint8_t *at, int kind) {
    uint64_t word, quotes, backslashes, hits;
    memcpy(&word, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    quotes = word ^ BYTE_SCAN_ALL('"');
    backslashes = word ^ BYTE_SCAN_ALL('\\');
    hits = ((quotes - BYTE_SCAN_ALL(1)) & ~quotes) | ((backslashes - BYTE_SCAN_ALL(1)) & ~backslashes);
    if (kind & BYTE_SCAN_CONTROL) hits |= (word - BYTE_SCAN_ALL(0x20)) & ~word;
    if (kind & BYTE_SCAN_HIGH) hits |= word;
    return hits & BYTE_SCAN_ALL(0x80);
}
BYTE_SCAN_INLINE intptr_t byte_scan_place(uint64_t hits) { return __builtin_ctzll(hits) >> 3; }
BYTE_SCAN_INLINE uint64_t byte_scan_without(uint64_t hits, intptr_t first) {
    return first == 0 ? hits : hits >> (first * 8) << (first * 8);
}
BYTE_SCAN_INLINE intptr_t byte_scan_run(const uint8_t *text, intptr_t at, intptr_t end, int kind) {
    (void)text, (void)end, (void)kind;
    return at;
}

#endif

/* The first byte from `at` on that is looked for; `end` if there is none. Nothing outside 0 to `end` is read. */
BYTE_SCAN_INLINE intptr_t byte_scan(const void *base, intptr_t at, intptr_t end, int kind) {
    const uint8_t *text = (const uint8_t *)base;
    intptr_t last = end - BYTE_SCAN_BLOCK;
    for (int blocks = 0; at <= last; blocks++) {
        uint64_t hits = byte_scan_block(text + at, kind);
        if (hits) return at + byte_scan_place(hits);
        at += BYTE_SCAN_BLOCK;
        if (blocks == 3) at = byte_scan_run(text, at, end, kind);
    }
    if (at >= end) return end;
#if defined(__SSE2__)
    /* The last block overlaps what was looked at. */
    if (last >= 0) {
        uint64_t hits = byte_scan_without(byte_scan_block(text + last, kind), at - last);
        return hits ? last + byte_scan_place(hits) : end;
    }
#endif
    for (; at < end; at++)
        if (byte_scan_is(text[at], kind)) return at;
    return end;
}

/* Whether `count` bytes are all ASCII. */
BYTE_SCAN_INLINE int byte_scan_is_ascii(const void *base, intptr_t count) {
    const uint8_t *text = (const uint8_t *)base;
    intptr_t at = 0;
    uint64_t bits = 0;
#if defined(__SSE2__)
#if defined(__x86_64__)
    if (count >= BYTE_SCAN_LONG && __builtin_cpu_supports("avx2")) at = byte_scan_ascii_wide(text, 0, count);
#endif
    /* With the first that is not, it is over. */
    for (; at + 16 <= count; at += 16)
        if (_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + at)))) return 0;
    /* The last block overlaps what was looked at. */
    if (count >= 16) return !_mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)(text + count - 16)));
#endif
    for (; at + 8 <= count; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        bits |= word;
    }
    for (; at < count; at++) bits |= text[at];
    return !(bits & 0x8080808080808080u);
}

/* A quote or a backslash. */
BYTE_SCAN_INLINE intptr_t byte_scan_quote(const void *base, intptr_t at, intptr_t end) {
    return byte_scan(base, at, end, BYTE_SCAN_NOTHING);
}
/* One of those, or a control character. */
BYTE_SCAN_INLINE intptr_t byte_scan_to_escape(const void *base, intptr_t at, intptr_t end) {
    return byte_scan(base, at, end, BYTE_SCAN_CONTROL);
}
/* One of those, or what is not ASCII. */
BYTE_SCAN_INLINE intptr_t byte_scan_special(const void *base, intptr_t at, intptr_t end) {
    return byte_scan(base, at, end, BYTE_SCAN_CONTROL | BYTE_SCAN_HIGH);
}

#endif
