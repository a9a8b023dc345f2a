/* Requests in, answers out: the part of the application that every message from the host passes. See app.h. */
#include "app.h"

#include <string.h>

#define IDLE_US 10000u

void nx_app_init(struct nx_app *app, const struct nx_tool *tool, struct nx_retained *retained)
{
    memset(app, 0, sizeof *app);
    app->tool = tool;
    app->retained = retained;
    app->log_level = NX_LOG_LEVEL_OFF;
    app->link.max_message = NX_MAX_MESSAGE;
    app->now_us = nx_hal_time_us();
    memcpy(app->streams, tool->streams, sizeof app->streams);
    nx_calibration_load(app);
    nx_session_prepare(app);
    if (retained->by_watchdog) {
        retained->by_watchdog = false;
        nx_health_report(app, NX_ERROR_CODE_WATCHDOG, (int32_t)retained->restarts);
    }
}

void nx_app_greet(struct nx_app *app, bool spoken)
{
    app->greeted = spoken;
    app->unsaid = false;
    nx_session_abandon(app);
    memset(app->remembered, 0, sizeof app->remembered);
    nx_calibration_lock(app);
}

void nx_app_answer(struct nx_app *app, const struct nx_request_header *request, uint8_t status, const uint8_t *payload,
                   size_t size, bool remember)
{
    struct nx_response_header header = {NX_MESSAGE_TYPE_RESPONSE, 0, app->answer_seq, request->request_id,
                                        request->opcode, status};
    struct nx_message *answer = &app->answers[(app->answer_first + app->answer_count) % NX_ANSWERS_MAX];
    if (app->answer_count == NX_ANSWERS_MAX || size > sizeof answer->bytes - NX_RESPONSE_HEADER_SIZE) {
        app->ignored++;
        return;
    }
    (void)nx_put_response_header(&header, answer->bytes, sizeof answer->bytes);
    memcpy(answer->bytes + NX_RESPONSE_HEADER_SIZE, payload, size);
    answer->size = (uint8_t)(NX_RESPONSE_HEADER_SIZE + size);
    app->answer_count++;
    app->answer_seq++;
    if (remember) {
        struct nx_remembered *slot = &app->remembered[app->remembered_next];
        app->remembered_next = (uint8_t)((app->remembered_next + 1u) % NX_MAX_PENDING);
        slot->used = true;
        slot->request_id = request->request_id;
        slot->opcode = request->opcode;
        slot->status = status;
        slot->size = (uint8_t)size;
        memcpy(slot->payload, payload, size);
    }
}

static const struct nx_remembered *remembered(const struct nx_app *app, const struct nx_request_header *request)
{
    for (size_t i = 0; i < NX_MAX_PENDING; i++) {
        const struct nx_remembered *slot = &app->remembered[i];
        if (slot->used && slot->request_id == request->request_id && slot->opcode == request->opcode) {
            return slot;
        }
    }
    return NULL;
}

/* One message from the host. The order of the checks is the protocol's: opcode, link, length, range, then the handler
 * looks at authorisation and state. */
static void handle(struct nx_app *app, const uint8_t *message, size_t size)
{
    uint8_t payload[NX_MAX_MESSAGE - NX_RESPONSE_HEADER_SIZE];
    struct nx_request_header request;
    const struct nx_remembered *before;
    if (!nx_get_request_header(&request, message, size) || request.type != NX_MESSAGE_TYPE_REQUEST
        || app->answer_count == NX_ANSWERS_MAX) {
        app->ignored++;
        return;
    }
    if (app->answer_count >= NX_MAX_PENDING) {
        nx_app_answer(app, &request, NX_STATUS_BUSY, payload, 0, false);
        return;
    }
    before = request.opcode == NX_OPCODE_HELLO ? NULL : remembered(app, &request);
    if (before != NULL) {
        nx_app_answer(app, &request, before->status, before->payload, before->size, false);
    } else if (!nx_requests_known(request.opcode)) {
        nx_app_answer(app, &request, NX_STATUS_UNKNOWN_OPCODE, payload, 0, true);
    } else if (app->link.max_message < NX_MIN_LINK_MESSAGE) {
        nx_app_answer(app, &request, NX_STATUS_LINK_TOO_SMALL, payload, 0, true);
    } else if (request.opcode == NX_OPCODE_STOP && app->session.open) {
        struct nx_stop_request stop;
        if (!nx_get_stop_request(&stop, message + NX_REQUEST_HEADER_SIZE, size - NX_REQUEST_HEADER_SIZE)) {
            nx_app_answer(app, &request, NX_STATUS_BAD_REQUEST, payload, 0, true);
        } else if (app->session.stopping) {
            app->ignored++; /* A retry while the queue drains, or a second STOP: one answer will do. */
        } else {
            app->stop_reason = stop.reason;
            nx_session_stop(app, &request);
        }
    } else {
        struct nx_call call = {message + NX_REQUEST_HEADER_SIZE, size - NX_REQUEST_HEADER_SIZE, payload,
                               app->link.max_message - NX_RESPONSE_HEADER_SIZE, 0};
        uint8_t status = nx_requests_carry_out(app, request.opcode, &call);
        nx_app_answer(app, &request, status, payload, call.out_size, true);
    }
}

static void read_link(struct nx_app *app)
{
    uint8_t message[NX_MAX_MESSAGE];
    while (app->answer_count < NX_ANSWERS_MAX && !app->restarting) {
        uint32_t connection = app->link.connection;
        size_t size = nx_hal_receive(&app->link, message);
        if (app->link.max_message > NX_MAX_MESSAGE) {
            app->link.max_message = NX_MAX_MESSAGE;
        }
        if (app->link.connection != connection) {
            nx_app_greet(app, false);
            app->answer_count = 0;
        }
        if (size == 0) {
            return;
        }
        app->now_us = nx_hal_time_us();
        nx_session_advance(app);
        handle(app, message, size);
    }
}

static void send_answers(struct nx_app *app)
{
    while (app->answer_count != 0) {
        const struct nx_message *answer = &app->answers[app->answer_first];
        if (!nx_hal_send(answer->bytes, answer->size)) {
            return;
        }
        app->answer_first = (uint8_t)((app->answer_first + 1u) % NX_ANSWERS_MAX);
        app->answer_count--;
    }
}

uint32_t nx_app_poll(struct nx_app *app)
{
    struct nx_touch touch;
    uint64_t due_us;
    (void)nx_hal_do(NX_TASK_ALIVE, NULL);
    app->now_us = nx_hal_time_us();
    nx_session_advance(app);
    read_link(app);
    while (nx_hal_do(NX_TASK_TOUCH, &touch)) {
        nx_health_event(app, &touch);
    }
    send_answers(app);
    if (app->answer_count == 0) {
        nx_queue_depart(app);
        nx_session_finish(app);
        send_answers(app);
    }
    if (app->restarting && app->answer_count == 0) {
        app->restarting = false;
        nx_app_greet(app, false);
        app->retained->restarts++;
        (void)nx_hal_do(NX_TASK_RESTART, NULL);
        return 0;
    }
    due_us = nx_session_due_us(app);
    if (due_us <= app->now_us) {
        return 0;
    }
    return due_us - app->now_us < IDLE_US ? (uint32_t)(due_us - app->now_us) : IDLE_US;
}
