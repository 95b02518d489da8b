-- libmimi for LuaJIT: mimi.h is the manual. Slow calls raise an error with the library's message. Real-time calls
-- return a status, 0 for success, and make no garbage once LuaJIT has compiled them. Buffers are arrays of the FFI:
-- mimi.floats(n), mimi.codes(n).
local ffi = require "ffi"

ffi.cdef [[
typedef struct mimi_options mimi_options;
typedef struct mimi_model mimi_model;
typedef struct mimi_encoder mimi_encoder;
typedef struct mimi_decoder mimi_decoder;
typedef struct mimi_capture mimi_capture;
typedef struct mimi_playback mimi_playback;
const char *mimi_version_string(void);
const char *mimi_status_string(int32_t status);
const char *mimi_last_error(void);
mimi_options *mimi_options_new(void);
int32_t mimi_options_set(mimi_options *, int32_t key, int64_t value);
void mimi_options_free(mimi_options *);
int32_t mimi_load(const char *path, const mimi_options *, mimi_model **);
int32_t mimi_load_memory(const void *data, size_t len, const mimi_options *, mimi_model **);
int32_t mimi_model_get(const mimi_model *, int32_t key, int64_t *value);
void mimi_free(mimi_model *);
int32_t mimi_encoder_new(const mimi_model *, const mimi_options *, mimi_encoder **);
int32_t mimi_encoder_process(mimi_encoder *, const float *pcm, size_t n, uint32_t *codes, size_t cap, size_t *out);
int32_t mimi_encoder_flush(mimi_encoder *, uint32_t *codes, size_t cap, size_t *out);
int32_t mimi_encoder_reset(mimi_encoder *);
int32_t mimi_encoder_get(const mimi_encoder *, int32_t key, int64_t *value);
void mimi_encoder_free(mimi_encoder *);
int32_t mimi_decoder_new(const mimi_model *, const mimi_options *, mimi_decoder **);
int32_t mimi_decoder_process(mimi_decoder *, const uint32_t *codes, size_t n, float *pcm, size_t cap, size_t *out);
int32_t mimi_decoder_flush(mimi_decoder *, float *pcm, size_t cap, size_t *out);
int32_t mimi_decoder_reset(mimi_decoder *);
int32_t mimi_decoder_get(const mimi_decoder *, int32_t key, int64_t *value);
void mimi_decoder_free(mimi_decoder *);
int32_t mimi_capture_new(const mimi_model *, const mimi_options *, mimi_capture **);
int32_t mimi_capture_write(mimi_capture *, const float *pcm, size_t n);
int32_t mimi_capture_read(mimi_capture *, uint32_t *codes, size_t cap, size_t *out);
int32_t mimi_capture_reset(mimi_capture *);
int32_t mimi_capture_get(const mimi_capture *, int32_t key, int64_t *value);
void mimi_capture_free(mimi_capture *);
int32_t mimi_playback_new(const mimi_model *, const mimi_options *, mimi_playback **);
int32_t mimi_playback_write(mimi_playback *, const uint32_t *codes, size_t n);
int32_t mimi_playback_read(mimi_playback *, float *pcm, size_t n);
int32_t mimi_playback_reset(mimi_playback *);
int32_t mimi_playback_get(const mimi_playback *, int32_t key, int64_t *value);
void mimi_playback_free(mimi_playback *);
int32_t mimi_pack(const uint32_t *, size_t n, int64_t books, int64_t bits, void *dst, size_t cap, size_t *out);
int32_t mimi_unpack(const void *src, size_t len, int64_t books, int64_t bits, uint32_t *, size_t cap, size_t *out);
]]

local C = ffi.load("mimi") -- libmimi.so, libmimi.dylib, mimi.dll
local mimi = { NO_CODE = 0xffffffff, floats = ffi.typeof("float[?]"), codes = ffi.typeof("uint32_t[?]") }

local option = { codebooks = 1, sample_rate = 2, max_block = 3, precision = 4, parts = 5, tail = 6, context = 7,
    threads = 8, isa = 9, work = 10, offline = 11, buffer_frames = 12 }
local property = { codebooks = 1, sample_rate = 2, frame_samples = 3, codebook_size = 4, latency_samples = 5,
    frames = 6, memory_bytes = 7, codes_hash = 8, model_id = 9, code_bits = 10, precision = 11, isa = 12, parts = 13,
    flush_len = 14, bad_code_index = 15, bad_code_value = 16, concealed = 17, lost = 18, waiting = 19, late = 20,
    missed = 21, dropped = 22 }

local count, number = ffi.new("size_t[1]"), ffi.new("int64_t[1]")

local function check(status)
    if status < 0 then error(ffi.string(C.mimi_last_error()), 3) end
end

-- A result and a status that failed: nil and the status. Numbers of 64 bits stay cdata.
local function get(call)
    return function(self, name)
        local status = call(self, property[name] or error("no property " .. name, 2), number)
        if status < 0 then return nil, status end
        return name == "codes_hash" and number[0] or tonumber(number[0])
    end
end

-- open(function of C, its first argument, type of the handle, function that frees it, options as a table)
local function open(new, from, kind, free, options)
    local bag, out = nil, ffi.new(kind)
    if options then
        bag = ffi.gc(C.mimi_options_new(), C.mimi_options_free)
        for name, value in pairs(options) do
            check(C.mimi_options_set(bag, option[name] or error("no option " .. name, 3), value))
        end
    end
    check(new(from, bag, out))
    return ffi.gc(out[0], free)
end

function mimi.version() return ffi.string(C.mimi_version_string()) end
function mimi.status(status) return ffi.string(C.mimi_status_string(status)) end

-- mimi.load(path), mimi.load_memory(string of bytes), each with options or without: { precision = 1 }
function mimi.load(path, options) return open(C.mimi_load, path, "mimi_model *[1]", C.mimi_free, options) end

function mimi.load_memory(bytes, options)
    return open(function(from, bag, out) return C.mimi_load_memory(from, #from, bag, out) end, bytes,
        "mimi_model *[1]", C.mimi_free, options)
end

-- status, bytes written to dst; status, codes written
function mimi.pack(codes, n, books, bits, dst, cap)
    return C.mimi_pack(codes, n, books, bits, dst, cap, count), tonumber(count[0])
end

function mimi.unpack(src, len, books, bits, codes, cap)
    return C.mimi_unpack(src, len, books, bits, codes, cap, count), tonumber(count[0])
end

ffi.metatype("mimi_model", { __index = {
    get = get(C.mimi_model_get),
    encoder = function(m, o) return open(C.mimi_encoder_new, m, "mimi_encoder *[1]", C.mimi_encoder_free, o) end,
    decoder = function(m, o) return open(C.mimi_decoder_new, m, "mimi_decoder *[1]", C.mimi_decoder_free, o) end,
    capture = function(m, o) return open(C.mimi_capture_new, m, "mimi_capture *[1]", C.mimi_capture_free, o) end,
    playback = function(m, o) return open(C.mimi_playback_new, m, "mimi_playback *[1]", C.mimi_playback_free, o) end,
} })

-- Streams: process and flush return a status and the number of codes or samples written.
ffi.metatype("mimi_encoder", { __index = {
    process = function(e, pcm, n, codes, cap)
        return C.mimi_encoder_process(e, pcm, n, codes, cap, count), tonumber(count[0])
    end,
    flush = function(e, codes, cap) return C.mimi_encoder_flush(e, codes, cap, count), tonumber(count[0]) end,
    reset = C.mimi_encoder_reset,
    get = get(C.mimi_encoder_get),
} })

ffi.metatype("mimi_decoder", { __index = {
    process = function(d, codes, n, pcm, cap)
        return C.mimi_decoder_process(d, codes, n, pcm, cap, count), tonumber(count[0])
    end,
    flush = function(d, pcm, cap) return C.mimi_decoder_flush(d, pcm, cap, count), tonumber(count[0]) end,
    reset = C.mimi_decoder_reset,
    get = get(C.mimi_decoder_get),
} })

-- Live: write(samples, n) and read(codes, cap), which returns a status and the number of codes
ffi.metatype("mimi_capture", { __index = {
    write = C.mimi_capture_write,
    read = function(c, codes, cap) return C.mimi_capture_read(c, codes, cap, count), tonumber(count[0]) end,
    reset = C.mimi_capture_reset,
    get = get(C.mimi_capture_get),
} })

-- Live: write(codes, n), with nil for frames that were lost, and read(samples, n), which fills them all
ffi.metatype("mimi_playback", { __index = {
    write = C.mimi_playback_write,
    read = C.mimi_playback_read,
    reset = C.mimi_playback_reset,
    get = get(C.mimi_playback_get),
} })

return mimi
