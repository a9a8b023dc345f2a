/* The board "native": the reference firmware as a process, for every test run and for a look without hardware. Serves
 * one host at a time on TCP or on a pseudo-terminal and prints the address when it can be reached. The sensors are a
 * file that the simulator shares: see physics.h. POSIX. Must never know: what a message means. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "../serial.h"
#include "app.h"
#include "physics.h"

#define READ_SIZE 4096u
#define PTY_LOOK_US 20000u   /* How often a pseudo-terminal without a host is looked at. */
#define SLEEP_MIN_US 100u
#define SEND_BUFFER 8192     /* Bytes that the system keeps for a host that does not read: about half a second. */
#define WATCHDOG_S 1         /* Of the processor's own time without a sign of life. */

static struct {
    volatile struct nx_physics *shared;
    struct nx_serial serial;
    struct timespec began;
    bool pty;
    int listening; /* Socket that new hosts come to, or -1. */
    int host;      /* Where the present host is, or -1. */
    uint32_t connection;
    uint32_t hang_ups;
    uint8_t read[READ_SIZE];
    size_t read_first;
    size_t read_end;
    bool restart;
} board = {.listening = -1, .host = -1};

static struct nx_tool tool;
static struct nx_retained retained;
static struct nx_app app;
static sigjmp_buf bitten;

static int die(const char *what)
{
    (void)fprintf(stderr, "nexus_native: %s\n", what);
    return 2;
}

/* ---- the host's coming and going -------------------------------------------------------------------------------- */
static void host_gone(void)
{
    if (board.host >= 0) {
        if (!board.pty) {
            (void)close(board.host);
            board.host = -1;
        } else {
            /* Only what it has not read: what is there to be read is already the next host's. */
            (void)tcflush(board.host, TCOFLUSH);
        }
    }
    board.connection += board.connection & 1u;
    board.read_first = board.read_end = 0;
    nx_serial_drop(&board.serial);
}

static bool connected(void)
{
    return (board.connection & 1u) != 0;
}

static void accept_host(void)
{
    int one = 1;
    int room = SEND_BUFFER;
    int fd = accept(board.listening, NULL, NULL);
    if (fd < 0) {
        return;
    }
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    board.host = fd;
    board.connection++;
}

/* Read what is there. The connection ends when the host has gone. */
static void fill(void)
{
    ssize_t got;
    if (board.host < 0 || board.read_first != board.read_end) {
        return;
    }
    got = read(board.host, board.read, sizeof board.read);
    if (got > 0) {
        board.read_first = 0;
        board.read_end = (size_t)got;
        board.connection |= 1u;
    } else if (board.pty && got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        board.connection |= 1u; /* Nothing written yet, but somebody has it open. */
    } else if (got == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) {
        if (connected()) {
            host_gone();
        }
    }
}

static void drain(void)
{
    size_t waiting;
    const uint8_t *bytes = nx_serial_waiting(&board.serial, &waiting);
    if (waiting != 0 && board.host >= 0 && connected()) {
        ssize_t left = write(board.host, bytes, waiting);
        if (left > 0) {
            nx_serial_left(&board.serial, (size_t)left);
        } else if (left < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            host_gone();
        }
    }
}

/* ---- the five functions ------------------------------------------------------------------------------------------ */
static uint64_t timer_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)((now.tv_sec - board.began.tv_sec) * 1000000 + (now.tv_nsec - board.began.tv_nsec) / 1000);
}

uint64_t nx_hal_time_us(void)
{
    return nx_physics_clock(timer_us());
}

size_t nx_hal_receive(struct nx_link *link, uint8_t message[NX_MAX_MESSAGE])
{
    size_t size = 0;
    fill();
    if (link->connection == board.connection) {
        while (size == 0 && board.read_first != board.read_end) {
            size = nx_serial_byte(&board.serial, board.read[board.read_first++], message, NX_MAX_MESSAGE);
        }
    }
    link->connection = board.connection;
    link->max_message = (uint16_t)board.shared->max_message;
    link->interval_us = board.shared->interval_us;
    link->bad_frames = nx_serial_bad(&board.serial);
    return size;
}

bool nx_hal_send(const uint8_t *message, size_t size)
{
    bool taken;
    if (!connected()) {
        return true; /* Nobody there: it leaves, and is lost. */
    }
    taken = nx_serial_send(&board.serial, message, size);
    drain();
    return taken;
}

bool nx_hal_sample(uint8_t stream, uint64_t index, int32_t counts[NX_CHANNELS_MAX])
{
    return nx_physics_sample(stream, index, counts);
}

static void feed_watchdog(void)
{
    const struct itimerval time = {{0, 0}, {WATCHDOG_S, 0}};
    (void)setitimer(ITIMER_VIRTUAL, &time, NULL);
}

bool nx_hal_do(enum nx_task task, void *detail)
{
    if (task == NX_TASK_ALIVE) {
        feed_watchdog();
        return true;
    }
    if (task == NX_TASK_RESTART) {
        board.restart = true;
        return true;
    }
    return nx_physics_do(task, detail);
}

/* ---- the loop ----------------------------------------------------------------------------------------------------- */
static void bite(int number)
{
    (void)number;
    siglongjmp(bitten, 1);
}

/* Sleep until something comes from the host, or time is up. */
static void rest(uint32_t wait_us)
{
    int fd = board.host >= 0 ? board.host : board.listening;
    struct timespec time;
    fd_set in;
    fd_set out;
    size_t waiting;
    (void)nx_serial_waiting(&board.serial, &waiting);
    FD_ZERO(&in);
    FD_ZERO(&out);
    if (board.pty && !connected()) {
        wait_us = PTY_LOOK_US; /* It would seem readable without end. */
    } else {
        FD_SET(fd, &in);
    }
    if (waiting != 0 && connected()) {
        FD_SET(fd, &out);
    }
    time.tv_sec = 0;
    time.tv_nsec = (long)(wait_us > SLEEP_MIN_US ? wait_us : SLEEP_MIN_US) * 1000;
    if (pselect(fd + 1, &in, &out, NULL, &time, NULL) > 0 && board.host < 0) {
        accept_host();
    }
}

static bool start(void)
{
    (void)clock_gettime(CLOCK_MONOTONIC, &board.began);
    board.restart = false;
    if (!nx_physics_begin(board.shared, &tool)) {
        return false;
    }
    nx_app_init(&app, &tool, &retained);
    return true;
}

static void run(pid_t parent)
{
    while (getppid() == parent) {
        uint32_t wait_us = nx_app_poll(&app);
        drain();
        nx_physics_show(&app, 0, board.connection);
        while (board.shared->hang != 0) {
            /* The program hangs, as asked: the watchdog ends this. */
        }
        if (board.hang_ups != board.shared->hang_up) {
            board.hang_ups = board.shared->hang_up;
            host_gone();
        }
        if (board.restart && !start()) {
            return;
        }
        rest(wait_us);
    }
}

/* ---- where the host finds it -------------------------------------------------------------------------------------- */
static int serve_tcp(const char *host, const char *port)
{
    struct addrinfo hints;
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    char name[64];
    char service[16];
    int one = 1;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    if (getaddrinfo(host, port, &hints, &found) != 0 || found == NULL) {
        return die("no such address");
    }
    board.listening = socket(found->ai_family, SOCK_STREAM, 0);
    (void)setsockopt(board.listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (board.listening < 0 || bind(board.listening, found->ai_addr, found->ai_addrlen) != 0
        || listen(board.listening, 1) != 0
        || getsockname(board.listening, (struct sockaddr *)&bound, &length) != 0
        || getnameinfo((struct sockaddr *)&bound, length, name, sizeof name, service, sizeof service,
                       NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        freeaddrinfo(found);
        return die(strerror(errno));
    }
    freeaddrinfo(found);
    (void)fcntl(board.listening, F_SETFL, O_NONBLOCK);
    (void)printf(strchr(name, ':') != NULL ? "tcp:[%s]:%s\n" : "tcp:%s:%s\n", name, service);
    return 0;
}

static int serve_pty(void)
{
    struct termios raw;
    int slave;
    board.pty = true;
    board.host = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (board.host < 0 || grantpt(board.host) != 0 || unlockpt(board.host) != 0) {
        return die("this system has no pseudo-terminals: use --tcp HOST PORT");
    }
    slave = open(ptsname(board.host), O_RDWR | O_NOCTTY);
    if (slave < 0 || tcgetattr(slave, &raw) != 0) {
        return die(strerror(errno));
    }
    cfmakeraw(&raw);
    (void)tcsetattr(slave, TCSANOW, &raw);
    (void)close(slave); /* Not kept open: only then is it seen that a host has come or gone. */
    (void)printf("serial:%s\n", ptsname(board.host));
    return 0;
}

int main(int count, char **words)
{
    pid_t parent = getppid();
    void *memory = MAP_FAILED;
    int status;
    int fd = count >= 3 ? open(words[1], O_RDWR) : -1;
    if (count != 3 && count != 5) {
        return die("write: nexus_native PHYSICS --pty | --tcp HOST PORT");
    }
    if (fd >= 0) {
        memory = mmap(NULL, sizeof(struct nx_physics), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (memory == MAP_FAILED) {
        return die("the file of the physics cannot be opened");
    }
    board.shared = memory;
    board.hang_ups = board.shared->hang_up;
    nx_serial_init(&board.serial);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGVTALRM, bite);
    status = count == 3 ? serve_pty() : serve_tcp(words[3], words[4]);
    if (status != 0) {
        return status;
    }
    (void)fflush(stdout);
    if (sigsetjmp(bitten, 1) != 0) {
        board.shared->watchdog++;
        retained.by_watchdog = true;
        retained.restarts++;
    }
    if (!start()) {
        return die("the file of the physics is not what this program understands");
    }
    run(parent);
    return 0;
}
