/* The reference firmware: everything that a tool does between its link and its sensors. Portable C99, no allocation, no
 * library but memcpy and friends; the board comes in through hal.h. One loop calls nx_app_poll. Must never know: which
 * board it runs on, how messages become bytes on the link, or what the samples mean. */
#ifndef NX_APP_H
#define NX_APP_H

#include "hal.h"

#define NX_QUEUE_MAX 64u     /* Stream messages that wait for the link at most. */
#define NX_ANSWERS_MAX 16u   /* Answers that wait at most, BUSY included. */
#define NX_BATCH_US 20000u   /* All streams send what they have this often: under the protocol's NX_BATCH_FLUSH_US. */
#define NX_SENSOR_WAIT_US 5000u    /* A batch waits so long for a sample that is due and not there. */
#define NX_SENSOR_LOST_US 2000000u /* After so long without a due sample the sensor is reported. */
#define NX_SAMPLE_LATE_US 250000u  /* A sample taken so late is an error to report; any later than a period is counted. */
#define NX_RECENT_MAX 2048u  /* Force samples kept for TARE: 2 s at 1 kHz. A power of two. */
#define NX_CHOICES_MAX 8u    /* Ranges of one channel group. */
#define NX_REPORTS_MAX 16u   /* Kinds of error. */

/* One range that CONFIGURE may choose: both in the unit of the quantity. */
struct nx_choice {
    double full_scale;
    double scale; /* Value of one count. */
};

/* What CONFIGURE may choose for one stream. */
struct nx_ranges {
    uint8_t channels; /* That the sensor has. */
    uint8_t groups;   /* Channel groups that have choices; of equal width. */
    uint8_t choice_count[2];
    struct nx_choice choices[2][NX_CHOICES_MAX];
};

/* What a tool is when it is switched on: the board fills it in before nx_app_init, and leaves it alone after. */
struct nx_tool {
    char serial_number[16];
    uint32_t boot_id;
    uint32_t unlock_code;
    struct nx_info_response info; /* Streams and calibration in it are filled in by the application. */
    uint8_t stream_count;
    struct nx_stream_descriptor streams[NX_MAX_STREAMS];
    struct nx_ranges ranges[NX_MAX_STREAMS];
    uint16_t record_size;
    uint8_t record[NX_CALIBRATION_MAX]; /* The factory's calibration record. */
};

/* Memory that a warm restart leaves alone; the board gives it the right place and clears it at a cold start. */
struct nx_retained {
    struct nx_session_totals totals; /* Of the latest session. */
    uint32_t restarts;
    bool by_watchdog; /* Set by the board where the watchdog bit. */
};

struct nx_message {
    uint8_t size;
    uint8_t bytes[NX_MAX_MESSAGE];
};

struct nx_remembered {
    bool used;
    uint16_t request_id;
    uint8_t opcode;
    uint8_t status;
    uint8_t size;
    uint8_t payload[NX_MAX_MESSAGE - NX_RESPONSE_HEADER_SIZE];
};

/* One stream while a session runs. */
struct nx_source {
    bool active; /* Sent, not only sampled. */
    bool missing; /* A sample that is due is not there ... */
    bool lost;    /* ... for so long that it is reported. */
    uint64_t missing_us; /* Since when. */
    uint8_t columns[NX_CHANNELS_MAX];
    uint8_t column_count;
    uint8_t width;      /* Bytes of one sample on the wire. */
    double period_us;
    uint64_t next;      /* Number of the sample to take next. */
    uint64_t first;     /* Of the first one in the batch. */
    uint8_t count;      /* Samples in the batch. */
    uint8_t batch[NX_MAX_MESSAGE - NX_DATA_HEADER_SIZE];
};

/* One streaming session. */
struct nx_session {
    bool open;     /* From START until STOP is answered. */
    bool stopping; /* STOP came; its answer waits for the queue. */
    uint64_t start_us;
    uint64_t next_cut_us;
    uint64_t next_status_us;
    uint32_t period_us;
    uint16_t high_water;
    struct nx_source sources[NX_MAX_STREAMS];
    struct nx_message queue[NX_QUEUE_MAX];
    uint16_t queue_first;
    uint16_t queue_count;
    int32_t recent[NX_RECENT_MAX][2]; /* Force counts, by number of the sample. */
    struct nx_request_header stop;    /* The STOP that is being carried out ... */
    uint64_t stop_us;                 /* ... and when it came. */
    bool stop_cut;                    /* The last batches are cut. */
    bool overflow;                    /* A batch found the queue full. */
};

struct nx_calibration {
    uint16_t size;
    uint16_t aside_size;
    uint32_t id;
    uint8_t bytes[NX_CALIBRATION_MAX];
    uint8_t aside[NX_CALIBRATION_MAX];
    bool open;
    uint64_t open_until_us;
    uint8_t wrong_codes;
};

struct nx_app {
    const struct nx_tool *tool;
    struct nx_retained *retained;
    struct nx_link link;
    uint64_t now_us;
    bool greeted;
    bool restarting; /* RESET was answered: restart when the answer has left. */
    uint8_t log_level;
    uint8_t stop_reason;
    uint32_t ignored; /* Messages that were no request, or found no room even for a BUSY. */
    uint32_t late;    /* Samples taken more than a period after their time. */
    uint16_t answer_seq;
    struct nx_message answers[NX_ANSWERS_MAX];
    uint8_t answer_first;
    uint8_t answer_count;
    struct nx_remembered remembered[NX_MAX_PENDING];
    uint8_t remembered_next;
    uint8_t report_count;
    struct nx_error_report reports[NX_REPORTS_MAX];
    bool unsaid;                        /* A report found the queue full ... */
    struct nx_error_report unsaid_report; /* ... and is said when there is room: the latest one. */
    struct nx_stream_descriptor streams[NX_MAX_STREAMS]; /* As they are configured now. */
    struct nx_calibration calibration;
    struct nx_session session;
};

/* A start of the tool, cold or warm. */
void nx_app_init(struct nx_app *app, const struct nx_tool *tool, struct nx_retained *retained);

/* Everything that is due: requests, samples, messages. Returns how long nothing will be due by itself, microseconds (at
 * most 10 ms); a byte from the host ends that sooner. */
uint32_t nx_app_poll(struct nx_app *app);

/* ---- between the application's own files ------------------------------------------------------------------------- */

/* One request being carried out. */
struct nx_call {
    const uint8_t *in;
    size_t in_size;
    uint8_t *out; /* The answer's payload. */
    size_t out_room;
    size_t out_size;
};

/* app_requests.c: from opcode to answer. */
uint8_t nx_requests_carry_out(struct nx_app *app, uint8_t opcode, struct nx_call *call);
bool nx_requests_known(uint8_t opcode);

/* app.c: a host is there, or gone: nothing of the one before stays. */
void nx_app_greet(struct nx_app *app, bool spoken);
void nx_app_answer(struct nx_app *app, const struct nx_request_header *request, uint8_t status, const uint8_t *payload,
                   size_t size, bool remember);

/* app_calibration.c: the record in the tool. Each returns a status. */
void nx_calibration_load(struct nx_app *app);
void nx_calibration_lock(struct nx_app *app);
uint8_t nx_calibration_unlock(struct nx_app *app, uint32_t code);
uint8_t nx_calibration_write(struct nx_app *app, const struct nx_calibration_write_request *piece);
uint8_t nx_calibration_commit(struct nx_app *app, const struct nx_calibration_commit_request *wanted);

/* app_queue.c: what waits for the link. */
bool nx_queue_put(struct nx_app *app, const uint8_t *message, size_t size);
void nx_queue_depart(struct nx_app *app);

/* app_session.c: samples to batches. */
uint32_t nx_session_begin(struct nx_app *app, uint32_t stream_mask);
void nx_session_prepare(struct nx_app *app);
void nx_session_advance(struct nx_app *app);
void nx_session_stop(struct nx_app *app, const struct nx_request_header *request);
void nx_session_abandon(struct nx_app *app);
void nx_session_finish(struct nx_app *app);
uint16_t nx_session_tare(const struct nx_app *app, uint32_t window_us, int32_t mean[2]);
uint8_t nx_session_capacity(const struct nx_app *app, const struct nx_source *source);
uint64_t nx_session_time_of(uint64_t index, double period_us);
uint64_t nx_session_due_us(const struct nx_app *app);

/* app_health.c: what went wrong, what happened, and who wants to hear it. */
void nx_health_report(struct nx_app *app, uint16_t code, int32_t detail);
void nx_health_catch_up(struct nx_app *app);
void nx_health_event(struct nx_app *app, const struct nx_touch *touch);
void nx_health_log(struct nx_app *app, uint8_t level, const char *text);
void nx_health_status(struct nx_app *app, uint64_t t_us);

#endif
