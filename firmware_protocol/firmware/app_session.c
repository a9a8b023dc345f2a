/* One streaming session: when which samples are taken and become messages. Must never know: what a sample means, or when
 * messages leave (app_queue.c). */
#include <string.h>

#include "app.h"

#define FORCE_CHANNELS 2u

/* How many samples lie before a moment; one that falls on it does not. */
static uint64_t count_before(uint64_t elapsed_us, double period_us)
{
    double exact = (double)elapsed_us / period_us - 1e-6;
    uint64_t count = exact > 0.0 ? (uint64_t)exact : 0;
    return exact > (double)count ? count + 1u : count;
}

/* Microseconds from START to a sample, rounded to the nearest, halves to even. */
uint64_t nx_session_time_of(uint64_t index, double period_us)
{
    double exact = (double)index * period_us;
    uint64_t below = (uint64_t)exact;
    double rest = exact - (double)below;
    return rest > 0.5 || (rest >= 0.5 && (below & 1u) != 0) ? below + 1u : below;
}

uint8_t nx_session_capacity(const struct nx_app *app, const struct nx_source *source)
{
    uint32_t room = app->link.max_message > NX_DATA_HEADER_SIZE ? app->link.max_message - NX_DATA_HEADER_SIZE : 0;
    uint32_t samples = room / source->width;
    return (uint8_t)(samples > 1u ? samples : 1u);
}

void nx_session_prepare(struct nx_app *app)
{
    struct nx_plan plan;
    memset(&plan, 0, sizeof plan);
    plan.session = app->retained->totals.session + 1u;
    memcpy(plan.streams, app->streams, sizeof plan.streams);
    (void)nx_hal_do(NX_TASK_PREPARE, &plan);
}

static void open_source(struct nx_app *app, uint8_t stream, bool active)
{
    const struct nx_stream_descriptor *descriptor = &app->streams[stream];
    struct nx_source *source = &app->session.sources[stream];
    memset(source, 0, sizeof *source);
    source->active = active;
    source->period_us = 1e6 / descriptor->rate_hz;
    for (uint8_t channel = 0; channel < NX_CHANNELS_MAX; channel++) {
        if ((descriptor->channel_mask >> channel & 1u) != 0) {
            source->columns[source->column_count++] = channel;
        }
    }
    source->width = (uint8_t)(source->column_count * (descriptor->sample_type == NX_SAMPLE_TYPE_I16 ? 2u : 4u));
}

/* "session 3: 2 streams" */
static void log_begin(struct nx_app *app, uint32_t number, uint8_t streams)
{
    char text[40] = "session ";
    char digits[10];
    size_t at = strlen(text);
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number != 0);
    while (count != 0) {
        text[at++] = digits[--count];
    }
    text[at++] = ':';
    text[at++] = ' ';
    text[at++] = (char)('0' + streams);
    memcpy(text + at, " streams", sizeof " streams");
    nx_health_log(app, NX_LOG_LEVEL_INFO, text);
}

uint32_t nx_session_begin(struct nx_app *app, uint32_t stream_mask)
{
    struct nx_session *session = &app->session;
    struct nx_session_totals *totals = &app->retained->totals;
    uint32_t number = totals->session + 1u;
    uint8_t streams = 0;
    memset(totals, 0, sizeof *totals);
    totals->session = number;
    memset(session, 0, sizeof *session);
    session->open = true;
    session->start_us = app->now_us;
    session->period_us = NX_BATCH_US;
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        bool active = (stream_mask >> stream & 1u) != 0;
        struct nx_source *source = &session->sources[stream];
        open_source(app, stream, active);
        if (active) {
            uint32_t full_us = (uint32_t)((double)nx_session_capacity(app, source) * 1e6 / app->streams[stream].rate_hz);
            session->period_us = full_us < session->period_us ? full_us : session->period_us;
            streams++;
        }
    }
    session->next_cut_us = session->start_us + session->period_us;
    session->next_status_us = session->next_cut_us;
    log_begin(app, number, streams);
    return number;
}

/* The batch becomes a message. */
static void flush(struct nx_app *app, uint8_t stream)
{
    struct nx_session *session = &app->session;
    struct nx_source *source = &session->sources[stream];
    uint8_t message[NX_MAX_MESSAGE];
    struct nx_data_header header = {NX_MESSAGE_TYPE_DATA, 0, 0, stream, source->count, (uint32_t)source->first,
                                    session->start_us + nx_session_time_of(source->first, source->period_us)};
    size_t size = (size_t)source->count * source->width;
    if (source->count == 0) {
        return;
    }
    (void)nx_put_data_header(&header, message, sizeof message);
    memcpy(message + NX_DATA_HEADER_SIZE, source->batch, size);
    app->retained->totals.samples[stream] += source->count;
    source->count = 0;
    if (!nx_queue_put(app, message, NX_DATA_HEADER_SIZE + size)) {
        session->overflow = true;
    }
}

static void append(struct nx_app *app, uint8_t stream, const int32_t *counts)
{
    struct nx_source *source = &app->session.sources[stream];
    size_t at;
    if (source->count >= nx_session_capacity(app, source)) {
        flush(app, stream);
    }
    if (source->count == 0) {
        source->first = source->next;
    }
    at = (size_t)source->count * source->width;
    for (uint8_t column = 0; column < source->column_count; column++) {
        int32_t count = counts[source->columns[column]];
        int16_t narrow = (int16_t)count;
        at += app->streams[stream].sample_type == NX_SAMPLE_TYPE_I16
                  ? nx_put_i16(&narrow, 1, source->batch + at, sizeof source->batch - at)
                  : nx_put_i32(&count, 1, source->batch + at, sizeof source->batch - at);
    }
    source->count++;
}

static void take(struct nx_app *app, uint8_t stream, const int32_t *counts)
{
    struct nx_source *source = &app->session.sources[stream];
    if (source->active) {
        append(app, stream, counts);
    }
    if (app->streams[stream].kind == NX_STREAM_KIND_FORCE) {
        memcpy(app->session.recent[source->next % NX_RECENT_MAX], counts, sizeof app->session.recent[0]);
    }
    source->next++;
    source->missing = false;
    source->lost = false;
}

/* Take every sample before a moment. */
static void collect(struct nx_app *app, uint8_t stream, uint64_t until_us)
{
    struct nx_session *session = &app->session;
    struct nx_source *source = &session->sources[stream];
    uint64_t wanted = count_before(until_us - session->start_us, source->period_us);
    uint64_t worst_us = 0;
    while (source->next < wanted) {
        int32_t counts[NX_CHANNELS_MAX] = {0};
        uint64_t due_us = session->start_us + nx_session_time_of(source->next, source->period_us);
        uint64_t delay_us = app->now_us - due_us;
        if (!nx_hal_sample(stream, source->next, counts)) {
            source->missing_us = source->missing ? source->missing_us : app->now_us;
            source->missing = true;
            break;
        }
        take(app, stream, counts);
        app->late += (double)delay_us > source->period_us;
        worst_us = delay_us > worst_us ? delay_us : worst_us;
    }
    if (worst_us > NX_SAMPLE_LATE_US) {
        nx_health_report(app, NX_ERROR_CODE_SAMPLE_LATE, worst_us < INT32_MAX ? (int32_t)worst_us : INT32_MAX);
    }
}

/* All streams. False: a sample that is due is not there, and may come any moment. A sensor that gives nothing for long
 * is reported, once; the others do not wait for it. */
static bool collect_all(struct nx_app *app, uint64_t until_us)
{
    bool complete = true;
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        struct nx_source *source = &app->session.sources[stream];
        collect(app, stream, until_us);
        if (!source->missing) {
            continue;
        }
        complete = complete && app->now_us - source->missing_us >= NX_SENSOR_WAIT_US;
        if (!source->lost && app->now_us - source->missing_us >= NX_SENSOR_LOST_US) {
            source->lost = true;
            nx_health_report(app, app->streams[stream].kind == NX_STREAM_KIND_FORCE ? NX_ERROR_CODE_FORCE_SENSOR
                                                                                    : NX_ERROR_CODE_IMU_SENSOR, 0);
        }
    }
    return complete;
}

static void flush_all(struct nx_app *app)
{
    app->session.overflow = false;
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        flush(app, stream);
    }
    if (app->session.overflow) {
        nx_health_report(app, NX_ERROR_CODE_QUEUE_OVERFLOW, (int32_t)app->retained->totals.dropped);
    }
}

void nx_session_advance(struct nx_app *app)
{
    struct nx_session *session = &app->session;
    uint64_t until_us = session->stopping ? session->stop_us : app->now_us;
    if (!session->open || session->stop_cut) {
        return;
    }
    while (session->next_cut_us <= until_us || session->next_status_us <= until_us) {
        nx_health_catch_up(app);
        if (session->next_cut_us <= session->next_status_us) {
            if (!collect_all(app, session->next_cut_us)) {
                return;
            }
            flush_all(app);
            session->next_cut_us += session->period_us;
        } else {
            nx_health_status(app, session->next_status_us);
            session->next_status_us += NX_STATUS_PERIOD_US;
        }
    }
    if (collect_all(app, until_us) && session->stopping) {
        flush_all(app);
        session->stop_cut = true;
    }
}

void nx_session_stop(struct nx_app *app, const struct nx_request_header *request)
{
    app->session.stopping = true;
    app->session.stop = *request;
    app->session.stop_us = app->now_us;
    nx_session_advance(app);
}

/* The session is over: the sensors are made ready for the next one. */
static void close_session(struct nx_app *app)
{
    app->session.open = false;
    app->session.queue_count = 0;
    nx_session_prepare(app);
}

void nx_session_abandon(struct nx_app *app)
{
    if (app->session.open) {
        app->retained->totals.dropped += app->session.queue_count;
        close_session(app);
    }
}

void nx_session_finish(struct nx_app *app)
{
    struct nx_session *session = &app->session;
    if (session->open && session->stop_cut && session->queue_count == 0) {
        struct nx_stop_response stopped = {session->stop_us, app->retained->totals};
        uint8_t payload[NX_STOP_RESPONSE_SIZE];
        close_session(app);
        nx_app_answer(app, &session->stop, NX_STATUS_OK, payload,
                      nx_put_stop_response(&stopped, payload, sizeof payload), true);
    }
}

uint16_t nx_session_tare(const struct nx_app *app, uint32_t window_us, int32_t mean[FORCE_CHANNELS])
{
    const struct nx_session *session = &app->session;
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        const struct nx_source *source = &session->sources[stream];
        uint64_t elapsed_us = app->now_us - session->start_us;
        uint64_t first = elapsed_us > window_us ? count_before(elapsed_us - window_us, source->period_us) : 0;
        uint64_t end = source->next;
        if (app->streams[stream].kind != NX_STREAM_KIND_FORCE) {
            continue;
        }
        first = end > NX_RECENT_MAX && first < end - NX_RECENT_MAX ? end - NX_RECENT_MAX : first;
        if (first >= end) {
            return 0;
        }
        for (uint32_t channel = 0; channel < FORCE_CHANNELS; channel++) {
            int64_t n = (int64_t)(end - first);
            int64_t sum = 0;
            int64_t below;
            int64_t rest;
            for (uint64_t i = first; i < end; i++) {
                sum += session->recent[i % NX_RECENT_MAX][channel];
            }
            below = sum >= 0 ? sum / n : -((-sum + n - 1) / n);
            rest = 2 * (sum - below * n) - n;
            mean[channel] = (int32_t)(rest > 0 || (rest == 0 && (below & 1) != 0) ? below + 1 : below);
        }
        return (uint16_t)(end - first);
    }
    return 0;
}

uint64_t nx_session_due_us(const struct nx_app *app)
{
    const struct nx_session *session = &app->session;
    uint64_t due_us = session->next_cut_us < session->next_status_us ? session->next_cut_us : session->next_status_us;
    if (!session->open || session->stop_cut) {
        return UINT64_MAX;
    }
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        const struct nx_source *source = &session->sources[stream];
        uint64_t at_us = session->start_us + nx_session_time_of(source->next, source->period_us) + 1u;
        due_us = !source->missing && at_us < due_us ? at_us : due_us;
    }
    return due_us;
}
