/* The stream messages that wait for the link. A sequence number is given when a message leaves, so one that finds the
 * queue full shows in first_index and not in seq. Must never know: what makes the messages. */
#include <string.h>

#include "app.h"

#define COUNT_AT 5u /* Where a DATA header has its count. */

bool nx_queue_put(struct nx_app *app, const uint8_t *message, size_t size)
{
    struct nx_session *session = &app->session;
    struct nx_message *slot = &session->queue[(session->queue_first + session->queue_count) % NX_QUEUE_MAX];
    if (session->queue_count == NX_QUEUE_MAX || size > sizeof slot->bytes) {
        app->retained->totals.dropped++;
        return false;
    }
    memcpy(slot->bytes, message, size);
    slot->size = (uint8_t)size;
    session->queue_count++;
    if (session->queue_count > session->high_water) {
        session->high_water = session->queue_count;
    }
    return true;
}

static uint64_t whole_index(const struct nx_source *source, uint32_t first_index)
{
    return source->next - (uint32_t)((uint32_t)source->next - first_index);
}

/* A batch made for a larger link: the part that it takes now, and what stays in the queue. Returns the part's bytes. */
static size_t split(const struct nx_app *app, struct nx_message *item, uint8_t *part)
{
    struct nx_data_header header;
    const struct nx_source *source;
    uint8_t count;
    size_t size;
    (void)nx_get_data_header(&header, item->bytes, item->size);
    source = &app->session.sources[header.stream];
    count = nx_session_capacity(app, source);
    size = (size_t)count * source->width;
    memcpy(part, item->bytes, NX_DATA_HEADER_SIZE + size);
    part[COUNT_AT] = count;
    return NX_DATA_HEADER_SIZE + size;
}

/* The part of a split batch has left: the rest keeps its place. */
static void keep_rest(const struct nx_app *app, struct nx_message *item, size_t part)
{
    const struct nx_session *session = &app->session;
    struct nx_data_header header;
    const struct nx_source *source;
    uint8_t count;
    (void)nx_get_data_header(&header, item->bytes, item->size);
    source = &session->sources[header.stream];
    count = (uint8_t)((part - NX_DATA_HEADER_SIZE) / source->width);
    header.count = (uint8_t)(header.count - count);
    header.first_index += count;
    header.t0_us = session->start_us + nx_session_time_of(whole_index(source, header.first_index), source->period_us);
    memmove(item->bytes + NX_DATA_HEADER_SIZE, item->bytes + part, item->size - part);
    item->size = (uint8_t)(item->size - (part - NX_DATA_HEADER_SIZE));
    (void)nx_put_data_header(&header, item->bytes, NX_DATA_HEADER_SIZE);
}

static bool number_and_send(struct nx_app *app, uint8_t *message, size_t size)
{
    struct nx_message_header header;
    (void)nx_get_message_header(&header, message, size);
    header.seq = (uint16_t)app->retained->totals.sent;
    (void)nx_put_message_header(&header, message, size);
    if (!nx_hal_send(message, size)) {
        return false;
    }
    app->retained->totals.sent++;
    return true;
}

void nx_queue_depart(struct nx_app *app)
{
    struct nx_session *session = &app->session;
    uint8_t part[NX_MAX_MESSAGE];
    while (session->open && session->queue_count != 0) {
        struct nx_message *item = &session->queue[session->queue_first];
        size_t size = item->size;
        uint8_t *message = item->bytes;
        if (size > app->link.max_message && item->bytes[0] == NX_MESSAGE_TYPE_DATA && item->bytes[COUNT_AT] > 1u) {
            size = split(app, item, part);
            message = part;
        }
        if (size > app->link.max_message) {
            app->retained->totals.dropped++; /* Nothing that this link carries. */
        } else if (!number_and_send(app, message, size)) {
            return;
        } else if (message == part) {
            keep_rest(app, item, size);
            continue;
        }
        session->queue_first = (uint16_t)((session->queue_first + 1u) % NX_QUEUE_MAX);
        session->queue_count--;
    }
}
