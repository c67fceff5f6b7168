/* Searches in bytes that Swift's vectors are too slow for: there is no way from Swift to a mask of sixteen comparisons in
 * one instruction. In the header, so that they are compiled into their callers. */
#ifndef CBYTESCAN_H
#define CBYTESCAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
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

/* Blocks four at a time, for long text; stops before the block with a hit, or where fewer than four are left. */
BYTE_SCAN_INLINE intptr_t byte_scan_run(const uint8_t *text, intptr_t at, intptr_t end, int kind) {
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
