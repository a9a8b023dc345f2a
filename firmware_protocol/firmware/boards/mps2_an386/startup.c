/* From reset to nx_main on the Cortex-M4: vectors, memory, faults. Must never know: what the program does. */
#include <stdint.h>

extern uint32_t nx_data_begin[], nx_data_end[], nx_data_source[], nx_bss_begin[], nx_bss_end[], nx_stack_top[];

void nx_main(void);
void nx_reset(void);
void nx_tick(void);
void nx_uart_received(void);
void nx_watchdog_barked(void);

/* A fault restarts the tool: the watchdog does it, because nothing feeds it here. */
static void fault(void)
{
    for (;;) {
    }
}

void nx_reset(void)
{
    const uint32_t *from = nx_data_source;
    for (uint32_t *to = nx_data_begin; to < nx_data_end; to++) {
        *to = *from++;
    }
    for (uint32_t *to = nx_bss_begin; to < nx_bss_end; to++) {
        *to = 0;
    }
    nx_main();
    fault();
}

typedef void vector(void);

/* The stack, then the handlers: 15 of the core, then the board's interrupts: 0 is the UART's receiver. */
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector *core[15];
    vector *board[16];
} vectors = {
    nx_stack_top,
    {nx_reset, nx_watchdog_barked, fault, fault, fault, fault, 0, 0, 0, 0, fault, fault, 0, fault, nx_tick},
    {nx_uart_received, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault, fault,
     fault},
};
