/* What each request does: one table from opcode to handler. A handler reads its payload (too short: BAD_REQUEST), looks
 * at ranges, authorisation and state in that order, and writes the answer's payload. Must never know: how requests come
 * or answers leave. STOP while streaming is not here, because its answer waits for the queue: see app_session.c. */
#include <string.h>

#include "app.h"
#include "nexus_frame.h"

#define TESTS                                                                                                          \
    ((uint32_t)NX_SELF_TEST_FORCE_SENSOR | (uint32_t)NX_SELF_TEST_IMU | (uint32_t)NX_SELF_TEST_MEMORY                  \
     | (uint32_t)NX_SELF_TEST_CALIBRATION | (uint32_t)NX_SELF_TEST_BATTERY)
#define REPORTS_A_MESSAGE 3u
#define PIECE_MAX 224u

typedef uint8_t handler(struct nx_app *app, struct nx_call *call);

/* Read the payload into `asked`, or end with BAD_REQUEST; then look at the ranges where the message has any. */
#define READ(name)                                                                                                     \
    struct nx_##name##_request asked;                                                                                  \
    if (!nx_get_##name##_request(&asked, call->in, call->in_size)) {                                                   \
        return NX_STATUS_BAD_REQUEST;                                                                                  \
    }
#define READ_IN_RANGE(name)                                                                                            \
    READ(name)                                                                                                         \
    if (!nx_valid_##name##_request(&asked)) {                                                                          \
        return NX_STATUS_OUT_OF_RANGE;                                                                                 \
    }
/* Write the answer's payload and end with OK. */
#define ANSWER(name, value)                                                                                            \
    call->out_size = nx_put_##name(value, call->out, call->out_room);                                                  \
    return NX_STATUS_OK

static struct nx_info_response info_of(const struct nx_app *app)
{
    struct nx_info_response info = app->tool->info;
    info.stream_count = app->tool->stream_count;
    info.calibration_id = app->calibration.id;
    info.calibration_size = app->calibration.size;
    return info;
}

static uint32_t description_crc(const struct nx_app *app)
{
    uint8_t bytes[NX_MAX_MESSAGE];
    struct nx_info_response info = info_of(app);
    uint32_t crc = nx_crc32(0, bytes, nx_put_info_response(&info, bytes, sizeof bytes));
    for (uint8_t stream = 0; stream < app->tool->stream_count; stream++) {
        crc = nx_crc32(crc, bytes, nx_put_stream_descriptor(&app->streams[stream], bytes, sizeof bytes));
    }
    return nx_crc32(crc, app->calibration.bytes, app->calibration.size);
}

static uint8_t hello(struct nx_app *app, struct nx_call *call)
{
    struct nx_hello_response answer;
    READ(hello)
    memset(&answer, 0, sizeof answer);
    nx_app_greet(app, asked.protocol_major == NX_PROTOCOL_MAJOR);
    answer.protocol_major = NX_PROTOCOL_MAJOR;
    answer.protocol_minor = NX_PROTOCOL_MINOR;
    answer.schema_hash = NX_SCHEMA_HASH;
    answer.boot_id = app->tool->boot_id;
    memcpy(answer.serial_number, app->tool->serial_number, sizeof answer.serial_number);
    answer.description_crc = description_crc(app);
    answer.max_message = app->link.max_message;
    call->out_size = nx_put_hello_response(&answer, call->out, call->out_room);
    return app->greeted ? NX_STATUS_OK : NX_STATUS_UNSUPPORTED_VERSION;
}

static uint8_t info(struct nx_app *app, struct nx_call *call)
{
    struct nx_info_response answer = info_of(app);
    ANSWER(info_response, &answer);
}

static uint8_t describe(struct nx_app *app, struct nx_call *call)
{
    READ(describe)
    if (asked.stream >= app->tool->stream_count) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    ANSWER(stream_descriptor, &app->streams[asked.stream]);
}

static uint8_t time_sync(struct nx_app *app, struct nx_call *call)
{
    struct nx_time_sync_response answer;
    READ(time_sync)
    answer.host_send_ns = asked.host_send_ns;
    answer.device_receive_us = app->now_us;
    answer.device_send_us = nx_hal_time_us();
    ANSWER(time_sync_response, &answer);
}

static uint8_t start(struct nx_app *app, struct nx_call *call)
{
    struct nx_start_response answer;
    READ(start)
    /* Bits of streams that this tool does not have mean nothing: "all" is all ones. */
    if ((asked.stream_mask & ((1u << app->tool->stream_count) - 1u)) == 0) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    if (app->session.open || !app->greeted) {
        return NX_STATUS_BAD_STATE;
    }
    answer.t_us = app->now_us;
    answer.session = nx_session_begin(app, asked.stream_mask);
    ANSWER(start_response, &answer);
}

static uint8_t stop(struct nx_app *app, struct nx_call *call)
{
    struct nx_stop_response answer = {app->now_us, app->retained->totals};
    READ(stop)
    app->stop_reason = asked.reason;
    ANSWER(stop_response, &answer);
}

static uint8_t tare(struct nx_app *app, struct nx_call *call)
{
    struct nx_tare_response answer = {app->now_us, 0, {0, 0}};
    READ_IN_RANGE(tare)
    if (app->session.open) {
        answer.samples = nx_session_tare(app, asked.window_ms * 1000u, answer.mean_counts);
    }
    if (answer.samples == 0) {
        return NX_STATUS_BAD_STATE;
    }
    ANSWER(tare_response, &answer);
}

static uint8_t totals(struct nx_app *app, struct nx_call *call)
{
    struct nx_totals_response answer = {app->now_us, app->session.open && !app->session.stopping,
                                        app->retained->totals};
    ANSWER(totals_response, &answer);
}

/* The next wider range of one channel group. False: there is none. */
static bool choose(const struct nx_ranges *ranges, uint8_t group, float wanted, struct nx_channel_group *made)
{
    const struct nx_choice *best = NULL;
    for (uint8_t i = 0; i < ranges->choice_count[group]; i++) {
        const struct nx_choice *choice = &ranges->choices[group][i];
        if (choice->full_scale >= (double)wanted * (1.0 - 1e-6)
            && (best == NULL || choice->full_scale < best->full_scale)) {
            best = choice;
        }
    }
    if (!(wanted >= 0.0f) || best == NULL) {
        return false;
    }
    made->full_scale = (float)best->full_scale;
    made->scale = best->scale;
    return true;
}

/* Whole channel groups only: a gyroscope without its y axis is of no use to anybody. */
static bool select_channels(const struct nx_ranges *ranges, uint32_t mask, struct nx_stream_descriptor *made)
{
    uint32_t width = ranges->groups != 0 ? (uint32_t)ranges->channels / ranges->groups : ranges->channels;
    uint32_t bits = (1u << width) - 1u;
    uint32_t channels = 0;
    for (uint8_t group = 0; group < 2u; group++) {
        if (group < ranges->groups) {
            uint32_t sent = mask >> (group * width) & bits;
            if (sent != 0 && sent != bits) {
                return false;
            }
            made->groups[group].channels = (uint8_t)(sent != 0 ? width : 0);
        }
        channels += made->groups[group].channels;
    }
    made->channel_mask = (uint16_t)mask;
    return channels != 0 && mask >> ranges->channels == 0;
}

static uint8_t configure(struct nx_app *app, struct nx_call *call)
{
    struct nx_stream_descriptor made;
    const struct nx_ranges *ranges;
    READ_IN_RANGE(configure)
    if (asked.stream >= app->tool->stream_count) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    made = app->streams[asked.stream];
    ranges = &app->tool->ranges[asked.stream];
    if (!(asked.rate_hz <= 0.0 && asked.rate_hz >= 0.0)) {
        /* The limits travel with 24 bits, the rate with 53. */
        if (!(asked.rate_hz >= (double)made.rate_min_hz * (1.0 - 1e-6)
              && asked.rate_hz <= (double)made.rate_max_hz * (1.0 + 1e-6))) {
            return NX_STATUS_OUT_OF_RANGE;
        }
        made.rate_hz = asked.rate_hz;
    }
    if (!select_channels(ranges, asked.channel_mask != 0 ? asked.channel_mask : made.channel_mask, &made)) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    for (uint8_t group = 0; group < ranges->groups; group++) {
        bool leave = asked.full_scale[group] <= 0.0f && asked.full_scale[group] >= 0.0f;
        if (!leave && !choose(ranges, group, asked.full_scale[group], &made.groups[group])) {
            return NX_STATUS_OUT_OF_RANGE;
        }
    }
    if (app->session.open) {
        return NX_STATUS_BAD_STATE;
    }
    app->streams[asked.stream] = made;
    nx_session_prepare(app);
    ANSWER(stream_descriptor, &made);
}

static uint8_t calibration_read(struct nx_app *app, struct nx_call *call)
{
    struct nx_calibration_read_response answer;
    size_t room = call->out_room - NX_CALIBRATION_READ_RESPONSE_SIZE;
    size_t left;
    READ(calibration_read)
    left = asked.offset < app->calibration.size ? (size_t)app->calibration.size - asked.offset : 0;
    left = left < room ? left : room;
    left = left < PIECE_MAX ? left : PIECE_MAX;
    answer.size = app->calibration.size;
    answer.offset = asked.offset;
    answer.count = (uint8_t)left;
    if (left != 0) {
        memcpy(answer.data, app->calibration.bytes + asked.offset, left);
    }
    ANSWER(calibration_read_response, &answer);
}

static uint8_t unlock(struct nx_app *app, struct nx_call *call)
{
    struct nx_unlock_response answer = {NX_UNLOCK_S};
    uint8_t status;
    READ(unlock)
    status = nx_calibration_unlock(app, asked.code);
    if (status != NX_STATUS_OK) {
        return status;
    }
    ANSWER(unlock_response, &answer);
}

static uint8_t calibration_write(struct nx_app *app, struct nx_call *call)
{
    struct nx_calibration_write_response answer;
    uint8_t status;
    READ(calibration_write)
    status = nx_calibration_write(app, &asked);
    if (status != NX_STATUS_OK) {
        return status;
    }
    answer.received = app->calibration.aside_size;
    ANSWER(calibration_write_response, &answer);
}

static uint8_t calibration_commit(struct nx_app *app, struct nx_call *call)
{
    struct nx_calibration_commit_response answer;
    uint8_t status;
    READ(calibration_commit)
    status = nx_calibration_commit(app, &asked);
    if (status != NX_STATUS_OK) {
        return status;
    }
    answer.calibration_id = app->calibration.id;
    ANSWER(calibration_commit_response, &answer);
}

static uint8_t haptic(struct nx_app *app, struct nx_call *call)
{
    (void)app;
    READ_IN_RANGE(haptic)
    return nx_hal_do(NX_TASK_HAPTIC, &asked) ? NX_STATUS_OK : NX_STATUS_UNSUPPORTED;
}

static uint8_t light(struct nx_app *app, struct nx_call *call)
{
    (void)app;
    READ_IN_RANGE(light)
    return nx_hal_do(NX_TASK_LIGHT, &asked) ? NX_STATUS_OK : NX_STATUS_UNSUPPORTED;
}

static uint8_t self_test(struct nx_app *app, struct nx_call *call)
{
    struct nx_self_test_response answer = {0, 0};
    READ(self_test)
    if (app->session.open) {
        return NX_STATUS_BAD_STATE;
    }
    answer.run = asked.tests & TESTS;
    if (!nx_hal_do(NX_TASK_SELF_TEST, &answer)) {
        return NX_STATUS_UNSUPPORTED;
    }
    ANSWER(self_test_response, &answer);
}

static uint8_t errors(struct nx_app *app, struct nx_call *call)
{
    struct nx_errors_response answer;
    READ_IN_RANGE(errors)
    memset(&answer, 0, sizeof answer);
    answer.total = app->report_count;
    answer.first = asked.first;
    while (answer.count < REPORTS_A_MESSAGE && (size_t)asked.first + answer.count < app->report_count) {
        answer.reports[answer.count] = app->reports[asked.first + answer.count];
        answer.count++;
    }
    if (asked.clear != 0) {
        app->report_count = 0;
    }
    ANSWER(errors_response, &answer);
}

static uint8_t log_level(struct nx_app *app, struct nx_call *call)
{
    READ(log_level)
    app->log_level = asked.level;
    return NX_STATUS_OK;
}

static uint8_t reset(struct nx_app *app, struct nx_call *call)
{
    READ(reset)
    if (asked.magic != NX_RESET_MAGIC) {
        return NX_STATUS_OUT_OF_RANGE;
    }
    app->restarting = true;
    return NX_STATUS_OK;
}

/* What the tool must be able to do for an opcode; 0: every tool can. */
static const struct {
    handler *carry_out;
    uint32_t capability;
} operations[] = {
    [NX_OPCODE_HELLO] = {hello, 0},
    [NX_OPCODE_INFO] = {info, 0},
    [NX_OPCODE_DESCRIBE] = {describe, 0},
    [NX_OPCODE_TIME_SYNC] = {time_sync, 0},
    [NX_OPCODE_START] = {start, 0},
    [NX_OPCODE_STOP] = {stop, 0},
    [NX_OPCODE_TARE] = {tare, NX_CAPABILITY_TARE},
    [NX_OPCODE_TOTALS] = {totals, 0},
    [NX_OPCODE_CONFIGURE] = {configure, NX_CAPABILITY_CONFIGURE},
    [NX_OPCODE_CALIBRATION_READ] = {calibration_read, 0},
    [NX_OPCODE_UNLOCK] = {unlock, NX_CAPABILITY_CALIBRATION_WRITE},
    [NX_OPCODE_CALIBRATION_WRITE] = {calibration_write, NX_CAPABILITY_CALIBRATION_WRITE},
    [NX_OPCODE_CALIBRATION_COMMIT] = {calibration_commit, NX_CAPABILITY_CALIBRATION_WRITE},
    [NX_OPCODE_HAPTIC] = {haptic, NX_CAPABILITY_HAPTIC},
    [NX_OPCODE_LIGHT] = {light, NX_CAPABILITY_LIGHT},
    [NX_OPCODE_SELF_TEST] = {self_test, NX_CAPABILITY_SELF_TEST},
    [NX_OPCODE_ERRORS] = {errors, NX_CAPABILITY_ERRORS},
    [NX_OPCODE_LOG_LEVEL] = {log_level, NX_CAPABILITY_LOG},
    [NX_OPCODE_RESET] = {reset, NX_CAPABILITY_RESET},
};

bool nx_requests_known(uint8_t opcode)
{
    return opcode < sizeof operations / sizeof operations[0] && operations[opcode].carry_out != NULL;
}

uint8_t nx_requests_carry_out(struct nx_app *app, uint8_t opcode, struct nx_call *call)
{
    uint32_t needed = operations[opcode].capability;
    if ((app->tool->info.capabilities & needed) != needed) {
        return NX_STATUS_UNSUPPORTED;
    }
    return operations[opcode].carry_out(app, call);
}
