/* Messages to frames and back, for carriers that are streams of bytes (UART, USB, TCP). BLE needs none of this: there
 * a message is a notification.
 *
 * A frame is COBS(message + CRC-32) 0x00. There is no zero inside, so the next zero is always a boundary, and a reader
 * is back in step one frame after any damage. Zeros between frames are idle fill. Knows nothing of what a message says.
 *
 * No allocation, no library but memcpy, no global state: one deframer a link, each function may run in any context. */
#ifndef NEXUS_FRAME_H
#define NEXUS_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "nexus_messages.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the CRC-32 at the end of a message inside its frame. */
#define NX_CRC_SIZE 4u
/* What a frame adds to its message: one byte of COBS, the CRC, the zero. */
#define NX_FRAME_OVERHEAD (NX_CRC_SIZE + 2u)
/* Room that nx_frame needs for every message. */
#define NX_MAX_FRAME (NX_MAX_MESSAGE + NX_FRAME_OVERHEAD)

/* CRC-32 as in zlib and Ethernet: reflected, polynomial 0x04C11DB7. Start with crc = 0; to go on over more bytes hand
 * in the last result. */
uint32_t nx_crc32(uint32_t crc, const uint8_t *data, size_t n);

/* One message of n bytes as a frame with its zero at the end. Returns the frame's bytes; 0 where the message is shorter
 * than a header, longer than NX_MAX_MESSAGE, or does not fit room. message and out must not overlap. */
size_t nx_frame(const uint8_t *message, size_t n, uint8_t *out, size_t room);

/* A stream of bytes to checked messages. The counts are frames since nx_deframer_init. */
struct nx_deframer {
    uint32_t good;       /* handed out */
    uint32_t bad_cobs;   /* a block of COBS reaches beyond the frame's end */
    uint32_t bad_crc;    /* the bytes are not those that were sent */
    uint32_t bad_length; /* shorter than a header or longer than NX_MAX_MESSAGE */
    uint16_t used;       /* bytes of the present frame; beyond the buffer: the rest of it is skipped */
    uint8_t buffer[NX_MAX_FRAME - 1u];
};

void nx_deframer_init(struct nx_deframer *d);

/* Takes the next byte. Returns the length of the message that it completes, and where that is: inside the deframer,
 * valid until the next call. 0: none yet, or a damaged one was counted. */
size_t nx_deframe(struct nx_deframer *d, uint8_t byte, const uint8_t **message);

#ifdef __cplusplus
}
#endif

#endif
