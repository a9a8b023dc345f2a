/* Messages on a line that carries bytes: frames in and out, both bounded. Must never know: what a message means, or how
 * bytes leave the processor. */
#ifndef NX_SERIAL_H
#define NX_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus_frame.h"

#define NX_SERIAL_OUT 1024u /* Bytes that wait to leave: three of the longest frames. */

struct nx_serial {
    struct nx_deframer in;
    uint8_t out[NX_SERIAL_OUT];
    size_t out_first; /* out[out_first .. out_end) waits. */
    size_t out_end;
};

void nx_serial_init(struct nx_serial *serial);

/* The host is gone: what is half read or waits is forgotten, the counts stay. */
void nx_serial_drop(struct nx_serial *serial);

/* One byte from the host; the length of the message that it completes, else 0. */
size_t nx_serial_byte(struct nx_serial *serial, uint8_t byte, uint8_t *message, size_t room);

/* Frame a message behind what waits. False where there is no room. */
bool nx_serial_send(struct nx_serial *serial, const uint8_t *message, size_t size);

/* What waits to leave; nx_serial_left says how much of it did. */
const uint8_t *nx_serial_waiting(const struct nx_serial *serial, size_t *size);
void nx_serial_left(struct nx_serial *serial, size_t size);

/* Frames that could not be read. */
uint32_t nx_serial_bad(const struct nx_serial *serial);

#endif
