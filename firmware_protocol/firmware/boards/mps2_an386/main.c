/* The board "mps2_an386": a Cortex-M4 in QEMU, bare metal. UART0 is the link, a free-running timer the clock, the
 * watchdog the real (emulated) one, and a shared block of memory the sensors: see physics.h. Must never know: what a
 * message means.
 *
 * QEMU joins timer ticks that it could not deliver in time, so ticks are never counted: the clock is read, and every
 * sample that is due by it is taken. The tick only wakes the loop, and QEMU's own as well: without it a byte would wait
 * in the UART until something else happens. */
#include <string.h>

#include "../serial.h"
#include "app.h"
#include "physics.h"

#define CLOCK_MHZ 25u
/* To the bark; as long again to the bite. A real board's would be a tenth of it: the emulator's timers go on while the
 * machine that runs it keeps it waiting, which was seen to take a second. */
#define WATCHDOG_US 5000000u
#define RX_ROOM 2048u       /* A power of two. */
#define DRAIN_MAX_US 200000u

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYST_CSR REGISTER(0xE000E010u)
#define SYST_RVR REGISTER(0xE000E014u)
#define SYST_CVR REGISTER(0xE000E018u)
#define NVIC_ISER REGISTER(0xE000E100u)
#define SCB_AIRCR REGISTER(0xE000ED0Cu)
#define TIMER_CTRL REGISTER(0x40000000u)
#define TIMER_VALUE REGISTER(0x40000004u)
#define TIMER_RELOAD REGISTER(0x40000008u)
#define UART_DATA REGISTER(0x40004000u)
#define UART_STATE REGISTER(0x40004004u)
#define UART_CTRL REGISTER(0x40004008u)
#define UART_INTSTATUS REGISTER(0x4000400Cu)
#define UART_BAUDDIV REGISTER(0x40004010u)
#define WDOG_LOAD REGISTER(0x40008000u)
#define WDOG_CONTROL REGISTER(0x40008008u)
#define WDOG_INTCLR REGISTER(0x4000800Cu)

#define UART_TX_FULL 1u
#define UART_RX_FULL 2u
#define UART_OVERRUNS 12u
#define RESET_REQUEST 0x05FA0004u

static volatile struct nx_physics *const shared = (volatile struct nx_physics *)0x21000000u;

static struct nx_tool tool;
static struct nx_app app;
static struct nx_serial serial;
static struct {
    uint8_t bytes[RX_ROOM];
    volatile uint32_t in;
    volatile uint32_t out;
    volatile uint32_t lost;
} rx;
static uint32_t timer_last;
static uint64_t timer_ticks;
static uint32_t connection;

/* What a restart that is not a cold one leaves alone. */
__attribute__((section(".retained"))) static struct nx_retained retained;

void nx_main(void);
void nx_tick(void);
void nx_uart_received(void);
void nx_watchdog_barked(void);

/* ---- interrupts --------------------------------------------------------------------------------------------------- */
void nx_tick(void)
{
}

void nx_uart_received(void)
{
    UART_INTSTATUS = 2u;
    while ((UART_STATE & UART_RX_FULL) != 0) {
        uint8_t byte = (uint8_t)UART_DATA;
        if (rx.in - rx.out == RX_ROOM) {
            rx.lost++;
        } else {
            rx.bytes[rx.in % RX_ROOM] = byte;
            rx.in++;
        }
    }
    UART_STATE = UART_OVERRUNS;
}

/* Nobody has fed the watchdog: note why, then restart. */
void nx_watchdog_barked(void)
{
    retained.by_watchdog = true;
    retained.restarts++;
    shared->watchdog++;
    SCB_AIRCR = RESET_REQUEST;
    for (;;) {
    }
}

/* ---- the line ----------------------------------------------------------------------------------------------------- */
static void drain(void)
{
    size_t waiting;
    const uint8_t *bytes = nx_serial_waiting(&serial, &waiting);
    size_t left = 0;
    while (left < waiting && (UART_STATE & UART_TX_FULL) == 0) {
        UART_DATA = bytes[left++];
    }
    nx_serial_left(&serial, left);
}

static uint64_t timer_us(void)
{
    uint32_t value = TIMER_VALUE;
    timer_ticks += timer_last - value; /* It counts down. */
    timer_last = value;
    return timer_ticks / CLOCK_MHZ;
}

/* ---- the five functions ------------------------------------------------------------------------------------------- */
uint64_t nx_hal_time_us(void)
{
    return nx_physics_clock(timer_us());
}

size_t nx_hal_receive(struct nx_link *link, uint8_t message[NX_MAX_MESSAGE])
{
    uint32_t now = shared->connection;
    size_t size = 0;
    if (now != connection) {
        connection = now;
        rx.out = rx.in;
        nx_serial_drop(&serial);
    }
    while (link->connection == connection && size == 0 && rx.out != rx.in) {
        size = nx_serial_byte(&serial, rx.bytes[rx.out % RX_ROOM], message, NX_MAX_MESSAGE);
        rx.out++;
    }
    link->connection = connection;
    link->max_message = (uint16_t)shared->max_message;
    link->interval_us = shared->interval_us;
    link->bad_frames = nx_serial_bad(&serial);
    return size;
}

bool nx_hal_send(const uint8_t *message, size_t size)
{
    bool taken;
    drain();
    taken = nx_serial_send(&serial, message, size);
    drain();
    return taken;
}

bool nx_hal_sample(uint8_t stream, uint64_t index, int32_t counts[NX_CHANNELS_MAX])
{
    return nx_physics_sample(stream, index, counts);
}

static void restart(void)
{
    uint64_t began_us = timer_us();
    size_t waiting = 1;
    while (waiting != 0 && timer_us() - began_us < DRAIN_MAX_US) {
        drain();
        (void)nx_serial_waiting(&serial, &waiting);
    }
    SCB_AIRCR = RESET_REQUEST;
    for (;;) {
    }
}

bool nx_hal_do(enum nx_task task, void *detail)
{
    if (task == NX_TASK_ALIVE) {
        WDOG_INTCLR = 1u;
        return true;
    }
    if (task == NX_TASK_RESTART) {
        restart();
    }
    return nx_physics_do(task, detail);
}

/* ---- from start to loop ------------------------------------------------------------------------------------------- */
static void set_up(void)
{
    TIMER_RELOAD = 0xFFFFFFFFu;
    TIMER_VALUE = 0xFFFFFFFFu;
    TIMER_CTRL = 1u;
    timer_last = TIMER_VALUE;
    UART_BAUDDIV = 27u; /* 921,600 baud: said for a real board, not modelled by QEMU. */
    UART_CTRL = 1u | 2u | 8u;
    NVIC_ISER = 1u;
    SYST_RVR = CLOCK_MHZ * shared->tick_us - 1u;
    SYST_CVR = 0;
    SYST_CSR = 7u;
    WDOG_LOAD = CLOCK_MHZ * WATCHDOG_US;
    WDOG_CONTROL = 3u;
}

void nx_main(void)
{
    if (shared->starts == 0) {
        memset(&retained, 0, sizeof retained);
    }
    connection = shared->connection;
    nx_serial_init(&serial);
    set_up();
    if (!nx_physics_begin(shared, &tool)) {
        return;
    }
    nx_app_init(&app, &tool, &retained);
    for (;;) {
        uint32_t wait_us = nx_app_poll(&app);
        drain();
        nx_physics_show(&app, rx.lost, connection);
        while (shared->hang != 0) {
            /* The program hangs, as asked: the watchdog ends this. */
        }
        if (wait_us != 0 && rx.in == rx.out) {
            __asm volatile("wfi");
        }
    }
}
