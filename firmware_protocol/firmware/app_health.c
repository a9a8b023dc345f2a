/* What went wrong and what happened: reports that are kept, and messages for a host that listens. Must never know: how
 * messages leave. */
#include <string.h>

#include "app.h"

static struct nx_message_header stream_header(uint8_t type)
{
    struct nx_message_header header = {type, 0, 0}; /* The number is given when the message leaves. */
    return header;
}

/* Queue a stream message of `size` payload bytes that stand in `bytes` behind the header. */
static void say(struct nx_app *app, uint8_t type, uint8_t *bytes, size_t size)
{
    struct nx_message_header header = stream_header(type);
    if (size != 0 && app->session.open && !app->session.stop_cut) {
        (void)nx_put_message_header(&header, bytes, NX_MESSAGE_HEADER_SIZE);
        (void)nx_queue_put(app, bytes, NX_MESSAGE_HEADER_SIZE + size);
    }
}

static void say_report(struct nx_app *app, const struct nx_error_report *report)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    struct nx_fault_message fault = {*report};
    say(app, NX_MESSAGE_TYPE_FAULT, bytes,
        nx_put_fault_message(&fault, bytes + NX_MESSAGE_HEADER_SIZE, sizeof bytes - NX_MESSAGE_HEADER_SIZE));
}

void nx_health_report(struct nx_app *app, uint16_t code, int32_t detail)
{
    uint8_t at = 0;
    while (at < app->report_count && app->reports[at].code != code) {
        at++;
    }
    if (at == NX_REPORTS_MAX) {
        return;
    }
    if (at == app->report_count) {
        memset(&app->reports[at], 0, sizeof app->reports[at]);
        app->report_count++;
    }
    app->reports[at].t_us = app->now_us;
    app->reports[at].code = code;
    app->reports[at].detail = detail;
    if (app->reports[at].count != UINT16_MAX) {
        app->reports[at].count++;
    }
    if (app->session.open && app->session.queue_count == NX_QUEUE_MAX) {
        app->unsaid = true; /* The queue that overflows has no room to say so. */
        app->unsaid_report = app->reports[at];
    } else {
        say_report(app, &app->reports[at]);
    }
}

void nx_health_catch_up(struct nx_app *app)
{
    if (app->unsaid && app->session.queue_count != NX_QUEUE_MAX) {
        app->unsaid = false;
        say_report(app, &app->unsaid_report);
    }
}

void nx_health_event(struct nx_app *app, const struct nx_touch *touch)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    struct nx_event_message event = {app->now_us, touch->kind, touch->value};
    say(app, NX_MESSAGE_TYPE_EVENT, bytes,
        nx_put_event_message(&event, bytes + NX_MESSAGE_HEADER_SIZE, sizeof bytes - NX_MESSAGE_HEADER_SIZE));
}

void nx_health_log(struct nx_app *app, uint8_t level, const char *text)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    struct nx_log_message line;
    size_t fixed = NX_MESSAGE_HEADER_SIZE + NX_LOG_MESSAGE_SIZE;
    size_t room = app->link.max_message > fixed ? app->link.max_message - fixed : 0;
    size_t length = strlen(text);
    if (level < app->log_level) {
        return;
    }
    length = length < room ? length : room;
    length = length < sizeof line.text ? length : sizeof line.text;
    memset(&line, 0, sizeof line);
    line.t_us = app->now_us;
    line.level = level;
    line.length = (uint8_t)length;
    memcpy(line.text, text, length);
    say(app, NX_MESSAGE_TYPE_LOG, bytes,
        nx_put_log_message(&line, bytes + NX_MESSAGE_HEADER_SIZE, sizeof bytes - NX_MESSAGE_HEADER_SIZE));
}

void nx_health_status(struct nx_app *app, uint64_t t_us)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    const struct nx_session *session = &app->session;
    const struct nx_session_totals *totals = &app->retained->totals;
    struct nx_health health = {0, 0};
    struct nx_status_message status;
    (void)nx_hal_do(NX_TASK_HEALTH, &health);
    memset(&status, 0, sizeof status);
    status.t_us = t_us;
    status.battery_percent = health.battery_percent;
    status.temperature_cdeg = health.temperature_cdeg;
    status.produced = totals->sent + totals->dropped + session->queue_count + 1u;
    status.dropped = totals->dropped;
    status.queue_high_water = session->high_water;
    status.max_message = app->link.max_message;
    status.interval_us = app->link.interval_us;
    status.bad_frames = app->link.bad_frames;
    status.errors = app->report_count;
    say(app, NX_MESSAGE_TYPE_STATUS, bytes,
        nx_put_status_message(&status, bytes + NX_MESSAGE_HEADER_SIZE, sizeof bytes - NX_MESSAGE_HEADER_SIZE));
}
