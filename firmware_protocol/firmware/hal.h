/* What a board gives the application: five functions, and nothing else. A firmware engineer implements them once; the
 * application calls them from one loop, never from an interrupt. Must never know: what a request means. */
#ifndef NX_HAL_H
#define NX_HAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "nexus_messages.h"

/* Most channels of one stream. */
#define NX_CHANNELS_MAX 8u

/* The link to the host as it is now. */
struct nx_link {
    uint32_t connection;  /* Another number at every connect and every disconnect. */
    uint32_t bad_frames;  /* Frames from the host that could not be read, since the last start. */
    uint32_t interval_us; /* Connection interval; 0 on a wire. */
    uint16_t max_message; /* Bytes: the longest message that the link carries. */
};

/* How the sensors shall run from the next START on. */
struct nx_plan {
    uint32_t session; /* Number that the next session will have. */
    struct nx_stream_descriptor streams[NX_MAX_STREAMS];
};

struct nx_health {
    uint8_t battery_percent;
    int16_t temperature_cdeg; /* Of the load cells, 0.01 degC. */
};

/* A piece of memory that keeps its content without power. */
struct nx_kept {
    uint8_t *bytes;
    size_t room; /* LOAD: bytes that fit. */
    size_t size; /* LOAD: set to what there is, 0 for nothing. STORE: bytes to keep. */
};

/* One press or tap since the last question. */
struct nx_touch {
    uint8_t kind; /* enum nx_event_kind */
    int32_t value;
};

/* What nx_hal_do can be asked, and what `detail` points to. False: this board has no such part, or it failed. */
enum nx_task {
    NX_TASK_PREPARE,   /* const struct nx_plan *: the sensors' next session. */
    NX_TASK_HEALTH,    /* struct nx_health *: fill in. */
    NX_TASK_TOUCH,     /* struct nx_touch *: fill in; false: nothing happened. */
    NX_TASK_LOAD,      /* struct nx_kept *: the kept calibration record. */
    NX_TASK_STORE,     /* struct nx_kept *: keep this one instead; all of it or, when power fails, the old one. */
    NX_TASK_HAPTIC,    /* const struct nx_haptic_request * */
    NX_TASK_LIGHT,     /* const struct nx_light_request * */
    NX_TASK_SELF_TEST, /* struct nx_self_test_response *: `run` holds what is wanted; fill in both. */
    NX_TASK_ALIVE,     /* NULL: feed the watchdog. */
    NX_TASK_RESTART    /* NULL: restart once what was sent has left. */
};

/* 1. The device clock, microseconds: starts anywhere, never goes back, starts anew with the tool. */
uint64_t nx_hal_time_us(void);

/* 2. The next whole message from the host: its length, 0 for none yet. `link` is brought up to date first. A message
 *    too long for `message` is counted in bad_frames and never given. */
size_t nx_hal_receive(struct nx_link *link, uint8_t message[NX_MAX_MESSAGE]);

/* 3. Hand a message to the link. False, and nothing is taken, where it has no room now. */
bool nx_hal_send(const uint8_t *message, size_t size);

/* 4. Sample number `index` of a stream since START, all the sensor's channels. False: it is not there (yet). It is asked
 *    for in order, and not before its time. */
bool nx_hal_sample(uint8_t stream, uint64_t index, int32_t counts[NX_CHANNELS_MAX]);

/* 5. Everything that is not the stream: see enum nx_task. */
bool nx_hal_do(enum nx_task task, void *detail);

#endif
