/*
 * voice MODEL [LOSS [JITTER [FRAMES]]]: microphone to codes, through a bad network, to the loudspeaker.
 *
 * LOSS is in per cent of packets, JITTER the most milliseconds that a packet takes longer than the quickest. It
 * runs until Ctrl-C, or until FRAMES of 80 ms were sent and heard. Wear headphones.
 * Build: cc voice.c $(pkg-config --cflags --libs mimi sdl2) -o voice
 */
#include <SDL.h>
#include <mimi.h>

#include <stdio.h>
#include <stdlib.h>

enum { RATE = 24000, BLOCK = 256, BOOKS = 8, BUFFER_FRAMES = 3, PACKET_ROOM = 32, CHANNEL_ROOM = 64, TRAVEL_MS = 40,
       LONGEST_GAP = 16 /* in frames; a playback has room for so many and MIMI_OPT_BUFFER_FRAMES */ };

static void stop(const char *what, const char *why) {
    SDL_Log("%s: %s", what, why);
    exit(1);
}

/* For the calls that leave a message; and for the real-time calls, which leave none. */
static void check(const char *what, mimi_status status) {
    if (status != MIMI_OK)
        stop(what, mimi_last_error());
}

static void check_rt(const char *what, mimi_status status) {
    if (status != MIMI_OK)
        stop(what, mimi_status_string(status));
}

/* ---- SDL's audio threads: these two calls never wait, and allocate nothing ---- */

static void SDLCALL microphone(void *capture, Uint8 *stream, int len) {
    /* it fails only after MIMI_ERR_PANIC; the main loop hears of it from mimi_capture_read() */
    (void)!mimi_capture_write(capture, (const float *)(void *)stream, (size_t)len / sizeof(float));
}

static void SDLCALL loudspeaker(void *playback, Uint8 *stream, int len) {
    if (mimi_playback_read(playback, (float *)(void *)stream, (size_t)len / sizeof(float)) != MIMI_OK)
        SDL_memset(stream, 0, (size_t)len);
}

/* ---- the network: packets come late or never, in order ---- */

typedef struct {
    Uint32 due;
    Uint16 number;
    size_t len;
    unsigned char bytes[PACKET_ROOM];
} packet;

typedef struct {
    packet waiting[CHANNEL_ROOM];
    unsigned sent, received, lost;
    Uint32 random, loss, jitter, last;
} channel;

static Uint32 below(channel *c, Uint32 limit) {
    c->random = c->random * 1664525u + 1013904223u;
    return (c->random >> 8) % limit;
}

static void channel_send(channel *c, Uint16 number, const unsigned char *bytes, size_t len) {
    if (below(c, 100) < c->loss || c->sent - c->received == CHANNEL_ROOM) {
        c->lost++;
        return;
    }
    packet *p = &c->waiting[c->sent++ % CHANNEL_ROOM];
    p->due = SDL_GetTicks() + TRAVEL_MS + below(c, c->jitter + 1);
    if ((Sint32)(p->due - c->last) < 0)
        p->due = c->last; /* behind the one before */
    c->last = p->due;
    p->number = number;
    p->len = len;
    SDL_memcpy(p->bytes, bytes, len);
}

static const packet *channel_receive(channel *c) {
    if (c->received == c->sent || (Sint32)(SDL_GetTicks() - c->waiting[c->received % CHANNEL_ROOM].due) < 0)
        return NULL;
    return &c->waiting[c->received++ % CHANNEL_ROOM];
}

/* ---- the two ends, both in the game loop ---- */

/* Sends a frame if one is ready. */
static int talk(mimi_capture *capture, channel *c, int64_t bits, Uint16 *next) {
    uint32_t codes[BOOKS];
    unsigned char bytes[PACKET_ROOM];
    size_t n, len;
    check_rt("capture", mimi_capture_read(capture, codes, BOOKS, &n));
    if (n == 0)
        return 0;
    check_rt("packing", mimi_pack(codes, n, BOOKS, bits, bytes, sizeof bytes, &len));
    channel_send(c, (*next)++, bytes, len);
    return 1;
}

/* A gap in the numbers is frames that were lost: playback conceals them, and what follows keeps its place. */
static void hear(mimi_playback *playback, const packet *p, int64_t bits, Uint16 *expected) {
    uint32_t codes[BOOKS];
    size_t n, lost = (Uint16)(p->number - *expected);
    *expected = (Uint16)(p->number + 1);
    if (lost > 0 && lost <= LONGEST_GAP) /* more are a pause */
        (void)!mimi_playback_write(playback, NULL, lost * BOOKS);
    /* a damaged packet is a frame less, and so is one for which there is no room: MIMI_PROP_DROPPED counts it */
    if (mimi_unpack(p->bytes, p->len, BOOKS, bits, codes, BOOKS, &n) == MIMI_OK)
        (void)!mimi_playback_write(playback, codes, n);
}

static SDL_AudioDeviceID open_device(int recording, SDL_AudioCallback callback, void *user) {
    SDL_AudioSpec want, have;
    SDL_zero(want);
    want.freq = RATE; /* SDL converts; or take the device's rate, and set MIMI_OPT_SAMPLE_RATE */
    want.format = AUDIO_F32SYS;
    want.channels = 1;
    want.samples = BLOCK;
    want.callback = callback;
    want.userdata = user;
    SDL_AudioDeviceID device = SDL_OpenAudioDevice(NULL, recording, &want, &have, 0);
    if (device == 0)
        stop(recording ? "microphone" : "loudspeaker", SDL_GetError());
    return device;
}

static long long playback_number(const mimi_playback *playback, mimi_prop key) {
    int64_t value;
    check_rt("playback", mimi_playback_get(playback, key, &value));
    return value;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 5)
        stop("usage", "voice MODEL [LOSS [JITTER [FRAMES]]]");
    static channel c;
    c.random = 1;
    c.loss = argc > 2 ? (Uint32)SDL_atoi(argv[2]) : 0;
    c.jitter = argc > 3 ? (Uint32)SDL_atoi(argv[3]) : 0;
    const long frames = argc > 4 ? SDL_atoi(argv[4]) : 0;

    mimi_model *model;
    mimi_capture *capture;
    mimi_playback *playback;
    int64_t bits;
    mimi_options *options = mimi_options_new();
    if (!options)
        stop("options", "out of memory");
    check("model", mimi_load(argv[1], NULL, &model));
    check("model", mimi_model_get(model, MIMI_PROP_CODE_BITS, &bits));
    check("options", mimi_options_set(options, MIMI_OPT_CODEBOOKS, BOOKS));
    check("options", mimi_options_set(options, MIMI_OPT_SAMPLE_RATE, RATE));
    check("options", mimi_options_set(options, MIMI_OPT_BUFFER_FRAMES, BUFFER_FRAMES));
    check("capture", mimi_capture_new(model, options, &capture));
    check("playback", mimi_playback_new(model, options, &playback));
    mimi_options_free(options);
    mimi_free(model);

    if (SDL_Init(SDL_INIT_AUDIO | SDL_INIT_TIMER | SDL_INIT_EVENTS) != 0)
        stop("SDL", SDL_GetError());
    SDL_AudioDeviceID in = open_device(1, microphone, capture), out = open_device(0, loudspeaker, playback);
    SDL_PauseAudioDevice(out, 0);
    SDL_PauseAudioDevice(in, 0);

    Uint16 next = 0, expected = 0;
    long talked = 0;
    int64_t hash = 0;
    Uint32 end = 0;
    SDL_bool running = SDL_TRUE;
    while (running) {
        SDL_Event event;
        while (SDL_PollEvent(&event))
            if (event.type == SDL_QUIT)
                running = SDL_FALSE;
        /* the game itself would be here */
        while ((frames == 0 || talked < frames) && talk(capture, &c, bits, &next))
            talked++;
        for (const packet *p; (p = channel_receive(&c)) != NULL;)
            hear(playback, p, bits, &expected);
        if (frames != 0 && talked == frames && end == 0) {
            check_rt("capture", mimi_capture_get(capture, MIMI_PROP_CODES_HASH, &hash));
            end = SDL_GetTicks() + TRAVEL_MS + c.jitter + 1000; /* what was sent last is heard until then */
        }
        if (end != 0 && (Sint32)(SDL_GetTicks() - end) >= 0)
            running = SDL_FALSE;
        SDL_Delay(5);
    }
    SDL_CloseAudioDevice(in);
    SDL_CloseAudioDevice(out);
    printf("%ld frames sent, codes hash %016llx; %u lost on the way; %lld concealed, %lld late, %lld dropped\n", talked,
           (unsigned long long)hash, c.lost, playback_number(playback, MIMI_PROP_CONCEALED),
           playback_number(playback, MIMI_PROP_LATE), playback_number(playback, MIMI_PROP_DROPPED));
    mimi_capture_free(capture);
    mimi_playback_free(playback);
    SDL_Quit();
    return 0;
}
