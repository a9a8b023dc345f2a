/* See nexus_frame.h. A message with its CRC is shorter than the longest block of COBS (254 bytes), so every code byte
 * but the first stands exactly where a zero of the message was: both directions replace them in place. */
#include "nexus_frame.h"

#if __STDC_HOSTED__
#include <string.h>
#else
void *memcpy(void *to, const void *from, size_t n); /* the one thing that a bare machine must bring */
#endif

/* CRC-32 of any bytes followed by their own CRC-32, low byte first. */
#define RESIDUE 0x2144DF1Cu

typedef char nx_check_blocks[NX_MAX_MESSAGE + NX_CRC_SIZE < 254u ? 1 : -1];

uint32_t nx_crc32(uint32_t crc, const uint8_t *data, size_t n)
{
    /* Half a byte a step: 64 bytes of table instead of 1024. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    size_t i;

    crc = ~crc;
    for (i = 0; i < n; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

size_t nx_frame(const uint8_t *message, size_t n, uint8_t *out, size_t room)
{
    const size_t end = n + NX_FRAME_OVERHEAD - 1u;
    uint32_t crc;
    size_t next;
    size_t i;

    if (n < NX_MESSAGE_HEADER_SIZE || n > NX_MAX_MESSAGE || room <= end) {
        return 0;
    }
    crc = nx_crc32(0, message, n);
    out[0] = 0;
    memcpy(out + 1, message, n);
    for (i = n + 1u; i < end; i++) {
        out[i] = (uint8_t)crc;
        crc >>= 8;
    }
    out[end] = 0;
    next = end;
    for (i = end; i-- > 0;) { /* from the back: each zero becomes the distance to the next one */
        if (out[i] == 0) {
            out[i] = (uint8_t)(next - i);
            next = i;
        }
    }
    return end + 1u;
}

void nx_deframer_init(struct nx_deframer *d)
{
    d->good = 0;
    d->bad_cobs = 0;
    d->bad_crc = 0;
    d->bad_length = 0;
    d->used = 0;
}

size_t nx_deframe(struct nx_deframer *d, uint8_t byte, const uint8_t **message)
{
    const size_t n = d->used;
    size_t code;
    size_t at;

    if (byte != 0) {
        if (n < sizeof d->buffer) {
            d->buffer[n] = byte;
        }
        if (n <= sizeof d->buffer) {
            d->used++;
        }
        return 0;
    }
    d->used = 0;
    if (n == 0) {
        return 0; /* idle fill */
    }
    if (n > sizeof d->buffer) {
        d->bad_length++;
        return 0;
    }
    for (at = 0; at < n; at += code) {
        code = d->buffer[at]; /* never 0: a zero ends the frame */
        if (code > n - at) {
            d->bad_cobs++;
            return 0;
        }
        d->buffer[at] = 0;
    }
    if (nx_crc32(0, d->buffer + 1, n - 1u) != RESIDUE) {
        d->bad_crc++;
        return 0;
    }
    if (n < 1u + NX_MESSAGE_HEADER_SIZE + NX_CRC_SIZE) { /* the buffer holds no longer one */
        d->bad_length++;
        return 0;
    }
    d->good++;
    *message = d->buffer + 1;
    return n - 1u - NX_CRC_SIZE;
}
