/* Messages on a line that carries bytes. See serial.h. */
#include "serial.h"

#include <string.h>

void nx_serial_init(struct nx_serial *serial)
{
    nx_deframer_init(&serial->in);
    serial->out_first = 0;
    serial->out_end = 0;
}

void nx_serial_drop(struct nx_serial *serial)
{
    serial->in.used = 0;
    serial->out_first = 0;
    serial->out_end = 0;
}

size_t nx_serial_byte(struct nx_serial *serial, uint8_t byte, uint8_t *message, size_t room)
{
    const uint8_t *whole = NULL;
    size_t size = nx_deframe(&serial->in, byte, &whole);
    if (size == 0 || size > room) {
        return 0;
    }
    memcpy(message, whole, size);
    return size;
}

bool nx_serial_send(struct nx_serial *serial, const uint8_t *message, size_t size)
{
    size_t waiting = serial->out_end - serial->out_first;
    size_t made;
    if (serial->out_first != 0) {
        memmove(serial->out, serial->out + serial->out_first, waiting);
        serial->out_first = 0;
        serial->out_end = waiting;
    }
    made = nx_frame(message, size, serial->out + waiting, NX_SERIAL_OUT - waiting);
    serial->out_end += made;
    return made != 0;
}

const uint8_t *nx_serial_waiting(const struct nx_serial *serial, size_t *size)
{
    *size = serial->out_end - serial->out_first;
    return serial->out + serial->out_first;
}

void nx_serial_left(struct nx_serial *serial, size_t size)
{
    serial->out_first += size;
}

uint32_t nx_serial_bad(const struct nx_serial *serial)
{
    return serial->in.bad_cobs + serial->in.bad_crc + serial->in.bad_length;
}
