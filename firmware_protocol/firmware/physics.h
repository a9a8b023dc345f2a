/* The bench behind an emulated tool: one block of memory that the simulator (nexus_simulator/physics.py) and a board
 * share. The simulator says what the sensors read, the board says what it did. Must never know: messages.
 *
 * No barrier is needed for the samples: a slot carries its own number and a check over itself and over the plan that
 * it was made for, so a slot that is old, half written or seen out of order is simply not there yet. Everything else that is
 * written while the tool runs is one aligned 32-bit word, or carries a check too. All little-endian. */
#ifndef NX_PHYSICS_H
#define NX_PHYSICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hal.h"

#define NX_PHYSICS_MAGIC 0x5948504Eu /* "NPHY" */
#define NX_PHYSICS_VERSION 1u
#define NX_PHYSICS_STREAMS 4u
#define NX_PHYSICS_CHANNELS 6u
#define NX_PHYSICS_SLOTS 8192u /* A power of two: more than eight seconds at 1 kHz. */
#define NX_PHYSICS_KEPT 1024u
#define NX_PHYSICS_PAYLOAD 64u /* Room for one answer's payload. */

struct nx_physics_slot {
    uint32_t index; /* Number of the sample since START, modulo 2^32. */
    int32_t counts[NX_PHYSICS_CHANNELS];
    uint32_t check; /* nx_physics_check(generation of the plan, slot) */
};

/* One range that CONFIGURE may choose. */
struct nx_physics_choice {
    double full_scale;
    double scale;
};

struct nx_physics_ranges {
    uint32_t channels;
    uint32_t groups;
    uint32_t choice_count[2];
    struct nx_physics_choice choices[2][8];
};

/* How the sensors shall run in the next session: `check` is the CRC-32 of the session (4 bytes) and the descriptors. */
struct nx_physics_plan {
    uint32_t session;
    uint8_t descriptor[NX_PHYSICS_STREAMS][NX_PHYSICS_PAYLOAD];
    uint32_t check;
    uint32_t generation; /* One more for every plan. */
};

struct nx_physics {
    /* Written by the simulator before the board starts. */
    uint32_t magic;
    uint32_t version;
    uint32_t size;
    uint32_t stream_count;
    uint64_t clock_us; /* Device clock at the first start. */
    int32_t skew_ppb;  /* How much faster than the board's own timer the device clock runs, 1e-9. */
    uint32_t boot_id;  /* Of the first start; a later one has boot_id + 0x9E3779B9 * starts. */
    uint32_t unlock_code;
    uint32_t hold_max_us; /* Longest that the clock stands still for a sample that is not there. */
    uint32_t tick_us;     /* How often a board that has no better reason wakes up. */
    uint32_t reserved;
    uint32_t hello_size;
    uint32_t info_size;
    uint32_t descriptor_size;
    uint32_t record_size;
    uint8_t hello[NX_PHYSICS_PAYLOAD];  /* Payload of HELLO's answer, for the identity in it. */
    uint8_t info[NX_PHYSICS_PAYLOAD];   /* Payload of INFO's answer. */
    uint8_t descriptor[NX_PHYSICS_STREAMS][NX_PHYSICS_PAYLOAD]; /* Payloads of DESCRIBE's answers. */
    struct nx_physics_ranges ranges[NX_PHYSICS_STREAMS];
    uint8_t record[NX_PHYSICS_KEPT];            /* The factory's calibration record. */

    /* Written by the simulator while the board runs. */
    uint32_t connection;       /* Where the board cannot see it: one more at every connect and disconnect; odd = there. */
    uint32_t max_message;      /* What the link carries. */
    uint32_t interval_us;
    uint32_t battery_percent;
    int32_t temperature_cdeg;
    uint32_t ended_plan;       /* The samples made for the plan of this generation come to an end ... */
    uint32_t ended_index[NX_PHYSICS_STREAMS]; /* ... before these numbers. */
    uint32_t hang_up;          /* One more: the tool ends the connection. */
    uint32_t hang;             /* Not 0: the program hangs, for the watchdog to find. */
    uint32_t touches;          /* One more at every touch ... */
    uint32_t touch_kind;       /* ... of this kind ... */
    int32_t touch_value;       /* ... and this value. */
    uint32_t self_test_fails;  /* Bits of the self-tests that fail. */

    /* Written by the board. */
    uint32_t starts;           /* Times that the tool has started. */
    uint32_t watchdog;         /* Of these, by the watchdog. */
    uint32_t held_us;          /* The clock stood still for samples, in all. */
    uint32_t late;             /* Samples taken more than one period after their time. */
    uint32_t rx_lost;          /* Bytes from the host that found no room. */
    uint32_t haptics;          /* Haptic requests carried out ... */
    uint32_t haptic;           /* ... the latest: pattern, strength, duration (16 bits). */
    uint32_t lights;           /* Light requests carried out ... */
    uint32_t light;            /* ... the latest: pattern, red, green, blue. */
    uint32_t consumed[NX_PHYSICS_STREAMS]; /* Samples taken in this session. */
    uint32_t clock_ms;         /* The device clock, modulo 2^32. */
    uint32_t seen_connection;  /* The latest `connection` that the board has seen. */
    uint32_t stop_reason;      /* In the latest STOP. */
    uint32_t ignored;          /* Messages that were no request, or found no room. */
    struct nx_physics_plan plan;
    uint32_t kept_size;        /* The board's memory without power. */
    uint32_t kept_check;
    uint8_t kept[NX_PHYSICS_KEPT];

    struct nx_physics_slot slots[NX_PHYSICS_STREAMS][NX_PHYSICS_SLOTS];
};

#define NX_PHYSICS_AT(field, offset) \
    typedef char nx_physics_at_##field[offsetof(struct nx_physics, field) == (offset) ? 1 : -1]
NX_PHYSICS_AT(clock_us, 16);
NX_PHYSICS_AT(hello, 64);
NX_PHYSICS_AT(record, 1536);
NX_PHYSICS_AT(connection, 2560);
NX_PHYSICS_AT(starts, 2624);
NX_PHYSICS_AT(plan, 2692);
NX_PHYSICS_AT(kept, 2968);
NX_PHYSICS_AT(slots, 3992);
typedef char nx_physics_slot_size[sizeof(struct nx_physics_slot) == 32 ? 1 : -1];
typedef char nx_physics_plan_size[sizeof(struct nx_physics_plan) == 268 ? 1 : -1];

/* The check of one slot: a sum with odd factors, one for each word, modulo 2^32. */
uint32_t nx_physics_check(uint32_t generation, const struct nx_physics_slot *slot);

/* ---- what both boards make of it (physics.c) -------------------------------------------------------------------- */
struct nx_tool;
struct nx_app;

/* Take the tool's identity from the shared memory, and count a start. False: it does not hold what this program
 * understands. */
bool nx_physics_begin(volatile struct nx_physics *shared, struct nx_tool *tool);

/* The device clock from the board's own timer, microseconds since this start. It stands still while a sample that is due
 * is not there, at most hold_max_us each time, so that nothing depends on how quick the simulator is. */
uint64_t nx_physics_clock(uint64_t timer_us);

/* nx_hal_sample and nx_hal_do of a board whose sensors, memory and actuators are the shared memory. */
bool nx_physics_sample(uint8_t stream, uint64_t index, int32_t *counts);
bool nx_physics_do(enum nx_task task, void *detail);

/* Show the application's counters. */
void nx_physics_show(const struct nx_app *app, uint32_t rx_lost, uint32_t connection);

#endif
