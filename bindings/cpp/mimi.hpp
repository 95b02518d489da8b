/**
 * @file mimi.hpp
 * @brief The Mimi neural audio codec for C++17 and later: mimi.h with types, in one header.
 *
 * @code
 * #include <mimi.hpp>
 *
 * auto model = mimi::model::load("model.safetensors");
 * auto encoder = model.new_encoder(mimi::options().codebooks(8));
 * std::vector<std::uint32_t> codes;
 * encoder.append(pcm, codes);      // any number of samples, as often as you like
 * encoder.append_flush(codes);
 * auto audio = model.decode(codes);
 * @endcode
 *
 * **Errors.** Each operation that can fail comes as `try_x()`, which returns a mimi::result and never
 * throws for a failure of the library, and as `x()`, which throws mimi::exception. The second exists
 * only when the compiler has exceptions on. mimi.h says which failures are possible, and what a call
 * that failed has left undone: everything.
 *
 * **Handles.** Models, streams and options are move-only and as big as a pointer. They free what they
 * hold. A stream keeps its model's weights alive. After a move, a handle is empty: its calls fail with
 * mimi::status::null_pointer.
 *
 * **Real time.** What is `noexcept` and takes spans is as real-time as the C function behind it: no
 * allocation, no lock, no system call. What takes a `std::vector` allocates.
 *
 * **Threads.** As in mimi.h: any number of threads may use one model, one at a time a stream; a capture and a playback
 * have a side for each of three threads.
 *
 * Everything is inline over the C ABI: no C++ type crosses into the library, which can be built by
 * another compiler with another standard library.
 */
#ifndef MIMI_HPP
#define MIMI_HPP

#include "mimi.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#if __has_include(<version>)
#include <version>
#endif
#if defined(__cpp_lib_span)
#include <span>
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
/** 1 if the throwing functions exist. */
#define MIMI_HPP_EXCEPTIONS 1
#include <exception>
#else
#define MIMI_HPP_EXCEPTIONS 0
#endif

/** The Mimi neural audio codec. */
namespace mimi {

/** The result of an operation: MIMI_OK or an error. Later releases may have values beyond these. */
enum class status : std::int32_t {
    ok = MIMI_OK,                                 /**< Success. */
    null_pointer = MIMI_ERR_NULL_POINTER,         /**< A handle is empty, or data is null. */
    invalid_argument = MIMI_ERR_INVALID_ARGUMENT, /**< A value that can never be right. */
    buffer_too_small = MIMI_ERR_BUFFER_TOO_SMALL, /**< See mimi::failure::needed(). */
    io = MIMI_ERR_IO,                             /**< A file could not be read. */
    format = MIMI_ERR_FORMAT,                     /**< No Mimi checkpoint, or no token file. */
    corrupt = MIMI_ERR_CORRUPT,                   /**< Damaged data. */
    unsupported = MIMI_ERR_UNSUPPORTED,           /**< Well-formed, but not something it does. */
    out_of_memory = MIMI_ERR_OUT_OF_MEMORY,       /**< Memory could not be had. */
    aborted = MIMI_ERR_ABORTED,                   /**< A callback asked to stop. */
    state = MIMI_ERR_STATE,                       /**< The handle is not usable. */
    panic = MIMI_ERR_PANIC                        /**< A bug in libmimi was caught. */
};

/** What a status means, in English: a static string. */
inline const char *to_string(status s) noexcept {
    return mimi_status_string(static_cast<mimi_status>(s));
}

/** The version of the library that is loaded: MAJOR * 10000 + MINOR * 100 + PATCH. */
inline std::uint32_t version_number() noexcept { return mimi_version_number(); }

/** The version and the kernels of the library that is loaded: a static string, for logs. */
inline const char *version_string() noexcept { return mimi_version_string(); }

/** Whether the loaded library has the ABI that this header describes. */
inline bool version_matches() noexcept {
    const std::uint32_t loaded = mimi_version_number();
    return loaded / 100 == MIMI_VERSION_NUMBER / 100 && loaded >= MIMI_VERSION_NUMBER;
}

#if defined(__cpp_lib_span)
/** A view of somebody else's array: `std::span` where there is one. */
template <class T> using span = std::span<T>;
#else
/** A view of somebody else's array: the part of `std::span` that this header needs. */
template <class T> class span {
  public:
    /** An empty view. */
    constexpr span() noexcept = default;
    /** `size` elements from `data` on. */
    constexpr span(T *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** All of an array. */
    template <std::size_t N> constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    /** All of a container that has data() and size(), such as `std::vector` or `std::array`. */
    template <class C, class = std::enable_if_t<
                           std::is_convertible_v<decltype(std::declval<C &>().data()), T *>>>
    constexpr span(C &container) noexcept : data_(container.data()), size_(container.size()) {}
    /** The same of a temporary, which lives as long as the call that it is an argument of. */
    template <class C, class = std::enable_if_t<
                           std::is_const_v<T> && std::is_convertible_v<decltype(std::declval<const C &>().data()), T *>>>
    constexpr span(const C &container) noexcept : data_(container.data()), size_(container.size()) {}
    /** The first element. */
    constexpr T *data() const noexcept { return data_; }
    /** The number of elements. */
    constexpr std::size_t size() const noexcept { return size_; }

  private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};
#endif

/** Why an operation failed. */
class failure {
  public:
    /** A failure with its status, the room that was needed, and a message. */
    explicit failure(status code, std::size_t needed = 0, std::string message = {}) noexcept
        : code_(code), needed_(needed), message_(std::move(message)) {}

    /** What kind of failure. */
    status code() const noexcept { return code_; }

    /** For status::buffer_too_small: the number of elements that there must be room for. */
    std::size_t needed() const noexcept { return needed_; }

    /** What exactly went wrong; of real-time operations, what the status means. */
    const char *message() const noexcept {
        return message_.empty() ? to_string(code_) : message_.c_str();
    }
    /** The message, by the name that exceptions have for it. */
    const char *what() const noexcept { return message(); }

  private:
    status code_;
    std::size_t needed_;
    std::string message_;
};

#if MIMI_HPP_EXCEPTIONS
/** What the throwing functions throw. */
class exception : public std::exception {
  public:
    /** Of this failure. */
    explicit exception(failure e) : error_(std::make_shared<failure>(std::move(e))) {}
    /** The failure. */
    const failure &error() const noexcept { return *error_; }
    /** The failure's kind. */
    status code() const noexcept { return error_->code(); }
    /** The failure's need of room. */
    std::size_t needed() const noexcept { return error_->needed(); }
    /** The failure's message. */
    const char *message() const noexcept { return error_->message(); }
    /** The failure's message, by the name that exceptions have for it. */
    const char *what() const noexcept override { return error_->message(); }

  private:
    std::shared_ptr<failure> error_; // copies of an exception must not throw
};
#endif

/** A value, or the error because of which there is none. */
template <class T> class [[nodiscard]] result {
  public:
    /** A value. */
    result(T value) noexcept(std::is_nothrow_move_constructible_v<T>) : value_(std::move(value)), error_(status::ok) {}
    /** An error. */
    result(failure e) noexcept : value_(), error_(std::move(e)) {}

    /** Whether there is a value. */
    bool has_value() const noexcept { return value_.has_value(); }
    /** Whether there is a value. */
    explicit operator bool() const noexcept { return has_value(); }
    /** status::ok, or why there is no value. */
    status code() const noexcept { return error_.code(); }
    /** The error; only if there is no value. */
    const failure &error() const noexcept { return error_; }
    /** The value; only if there is one. */
    T &operator*() & noexcept { return *value_; }
    /** The value; only if there is one. */
    const T &operator*() const & noexcept { return *value_; }
    /** The value; only if there is one. */
    T &&operator*() && noexcept { return std::move(*value_); }
    /** The value's member; only if there is one. */
    T *operator->() noexcept { return &*value_; }
    /** The value's member; only if there is one. */
    const T *operator->() const noexcept { return &*value_; }

#if MIMI_HPP_EXCEPTIONS
    /** The value, moved out; throws mimi::exception if there is none. */
    T value() && {
        if (!value_)
            throw exception(error_);
        return std::move(*value_);
    }
#endif

  private:
    std::optional<T> value_;
    failure error_;
};

/** The value of a result that is only success or failure. */
struct nothing {};

/** @cond internals */
namespace detail {

/* The failure of a call that leaves a message. */
inline failure failed(mimi_status s, std::size_t needed = 0) {
    return failure(static_cast<status>(s), needed, mimi_last_error());
}

/* The failure of a real-time call: nothing is allocated. */
inline failure failed_rt(mimi_status s, std::size_t needed = 0) noexcept {
    return failure(static_cast<status>(s), needed);
}

inline result<std::size_t> count_rt(mimi_status s, std::size_t n) noexcept {
    if (s != MIMI_OK)
        return failed_rt(s, n);
    return n;
}

inline result<nothing> done_rt(mimi_status s) noexcept {
    if (s != MIMI_OK)
        return failed_rt(s);
    return nothing{};
}

template <class T, void (*Free)(T *)> struct freer {
    void operator()(T *handle) const noexcept { Free(handle); }
};

template <class T, void (*Free)(T *)> using owned = std::unique_ptr<T, freer<T, Free>>;

/* Appends what `call(data, room, &written)` writes. Asks with no room: the call then tells the size. */
template <class T, class Call> result<std::size_t> append_rt(std::vector<T> &out, Call call) {
    const std::size_t before = out.size();
    std::size_t n = 0;
    mimi_status s = call(nullptr, 0, &n);
    if (s == MIMI_ERR_BUFFER_TOO_SMALL) {
        out.resize(before + n);
        s = call(out.data() + before, n, &n);
        out.resize(s == MIMI_OK ? before + n : before);
    }
    if (s != MIMI_OK)
        return failed_rt(s, n);
    return out.size() - before;
}

} // namespace detail
/** @endcond */

/** Which half of a model to load. */
enum class parts : std::int32_t {
    both = MIMI_PARTS_BOTH,       /**< The encoder and the decoder. */
    encoder = MIMI_PARTS_ENCODER, /**< The encoder alone. */
    decoder = MIMI_PARTS_DECODER  /**< The decoder alone. */
};

/** How weights are kept in memory. */
enum class precision : std::int32_t {
    f32 = MIMI_PRECISION_F32,    /**< 32-bit floats, as in the checkpoint. */
    bf16 = MIMI_PRECISION_BF16,  /**< bfloat16. */
    int8 = MIMI_PRECISION_INT8,  /**< 8-bit integers. */
    int16 = MIMI_PRECISION_INT16 /**< 16-bit integers. */
};

/** How a last partial frame is completed. */
enum class tail : std::int32_t {
    audio_pad = MIMI_TAIL_AUDIO_PAD, /**< The waveform is padded, as kyutai's moshi does. */
    layer_pad = MIMI_TAIL_LAYER_PAD  /**< Each layer pads its input, as transformers does. */
};

/** Who does the work of a capture or a playback. */
enum class live_work : std::int32_t {
    spread = MIMI_WORK_SPREAD, /**< The audio thread, in equal shares. */
    other = MIMI_WORK_OTHER    /**< A thread of yours, by calls of try_work(). */
};

/**
 * Options of loading, streams and one-shot calls; each call reads those that concern it.
 *
 * Setters return the object, so that they can be chained. A value that can never be right is remembered
 * and makes the call fail that is given these options.
 */
class options {
  public:
    /** All defaults. */
    options() noexcept
        : handle_(mimi_options_new()), code_(handle_ ? MIMI_OK : MIMI_ERR_OUT_OF_MEMORY), message_() {}

    /** Codes per frame; for loading, the codebooks to keep. */
    options &codebooks(std::int64_t n) { return set(MIMI_OPT_CODEBOOKS, n); }
    /** The sample rate of your audio in Hz; see MIMI_OPT_SAMPLE_RATE for those that are possible. */
    options &sample_rate(std::int64_t hz) { return set(MIMI_OPT_SAMPLE_RATE, hz); }
    /** Samples worked on at once. */
    options &max_block(std::int64_t samples) { return set(MIMI_OPT_MAX_BLOCK, samples); }
    /** How weights are kept. */
    options &weights(precision value) { return set(MIMI_OPT_PRECISION, static_cast<std::int64_t>(value)); }
    /** Which half of the model to load. */
    options &load_parts(parts value) { return set(MIMI_OPT_PARTS, static_cast<std::int64_t>(value)); }
    /** How a last partial frame is completed. */
    options &last_frame(tail value) { return set(MIMI_OPT_TAIL, static_cast<std::int64_t>(value)); }
    /** How far attention looks back, in steps; see MIMI_OPT_CONTEXT. */
    options &context(std::int64_t steps) { return set(MIMI_OPT_CONTEXT, steps); }
    /** The number of threads of one-shot calls. */
    options &threads(std::int64_t n) { return set(MIMI_OPT_THREADS, n); }
    /** The instruction set, a MIMI_ISA_ value. */
    options &isa(std::int64_t value) { return set(MIMI_OPT_ISA, value); }

    /** Captures and playbacks: who does the work. */
    options &work(live_work value) { return set(MIMI_OPT_WORK, static_cast<std::int64_t>(value)); }
    /** Captures and playbacks: whether audio is not in real time; see MIMI_OPT_OFFLINE. */
    options &offline(bool value) { return set(MIMI_OPT_OFFLINE, value); }
    /** Playbacks: the frames that wait before it starts. */
    options &buffer_frames(std::int64_t n) { return set(MIMI_OPT_BUFFER_FRAMES, n); }

    /** Any option of mimi.h by its key. */
    options &set(mimi_option key, std::int64_t value) {
        const mimi_status s = mimi_options_set(handle_.get(), key, value);
        if (s != MIMI_OK && code_ == MIMI_OK) {
            code_ = s;
            message_ = mimi_last_error();
        }
        return *this;
    }

    /** status::ok, or why the first setter that failed did. */
    status code() const noexcept { return static_cast<status>(code_); }
    /** The failure of the first setter that failed. */
    failure error() const { return failure(code(), 0, message_); }
    /** The C handle, which stays this object's. */
    const mimi_options *get() const noexcept { return handle_.get(); }

  private:
    detail::owned<mimi_options, mimi_options_free> handle_;
    mimi_status code_;
    std::string message_;
};

/** A stream of audio to codes. One thread at a time; it may move between threads. */
class encoder {
  public:
    /** An empty handle. */
    encoder() noexcept = default;
    /** Takes over a C handle. */
    explicit encoder(mimi_encoder *handle) noexcept : handle_(handle) {}

    /**
     * Takes any number of samples and writes the codes of the frames that they complete. Real-time.
     *
     * Gives the number of codes written. With too little room, status::buffer_too_small,
     * mimi::failure::needed() says how much, and nothing was taken.
     */
    result<std::size_t> try_process(span<const float> pcm, span<std::uint32_t> codes) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_encoder_process(handle_.get(), pcm.data(), pcm.size(), codes.data(), codes.size(), &n);
        return detail::count_rt(s, n);
    }

    /** Ends the stream: writes the codes of a last partial frame, if there is one. Real-time. */
    result<std::size_t> try_flush(span<std::uint32_t> codes) noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_encoder_flush(handle_.get(), codes.data(), codes.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append(span<const float> pcm, std::vector<std::uint32_t> &codes) {
        return detail::append_rt(codes, [&](std::uint32_t *data, std::size_t room, std::size_t *n) {
            return mimi_encoder_process(handle_.get(), pcm.data(), pcm.size(), data, room, n);
        });
    }

    /** As try_flush(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_flush(std::vector<std::uint32_t> &codes) {
        return detail::append_rt(codes, [&](std::uint32_t *data, std::size_t room, std::size_t *n) {
            return mimi_encoder_flush(handle_.get(), data, room, n);
        });
    }

    /** As try_process(), to latents: mimi::failure::needed() and the result count values. Real-time. */
    result<std::size_t> try_process_latents(span<const float> pcm, span<float> latents) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_encoder_process_latents(handle_.get(), pcm.data(), pcm.size(), latents.data(), latents.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_flush(), to latents. Real-time. */
    result<std::size_t> try_flush_latents(span<float> latents) noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_encoder_flush_latents(handle_.get(), latents.data(), latents.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process_latents(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_latents(span<const float> pcm, std::vector<float> &latents) {
        return detail::append_rt(latents, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_encoder_process_latents(handle_.get(), pcm.data(), pcm.size(), data, room, n);
        });
    }

    /** As try_flush_latents(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_flush_latents(std::vector<float> &latents) {
        return detail::append_rt(latents, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_encoder_flush_latents(handle_.get(), data, room, n);
        });
    }

    /** The values that try_process_latents() would write for so many samples now. Real-time. */
    result<std::size_t> try_latents_for(std::size_t samples) const noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_encoder_latents_for(handle_.get(), samples, &n);
        return detail::count_rt(s, n);
    }

    /** The codes that try_process() would write for so many samples now. Real-time. */
    result<std::size_t> try_codes_for(std::size_t samples) const noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_encoder_codes_for(handle_.get(), samples, &n);
        return detail::count_rt(s, n);
    }

    /** Forgets everything: the stream is as new. Real-time. */
    result<nothing> try_reset() noexcept { return detail::done_rt(mimi_encoder_reset(handle_.get())); }

    /** A property, a MIMI_PROP_ key. Real-time. */
    result<std::int64_t> try_get(mimi_prop key) const noexcept {
        std::int64_t value = 0;
        const mimi_status s = mimi_encoder_get(handle_.get(), key, &value);
        if (s != MIMI_OK)
            return detail::failed_rt(s);
        return value;
    }

    /** Forks the stream: the copy stands at the same point and goes its own way. */
    result<encoder> try_clone() const {
        mimi_encoder *copy = nullptr;
        const mimi_status s = mimi_encoder_clone(handle_.get(), &copy);
        if (s != MIMI_OK)
            return detail::failed(s);
        return encoder(copy);
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_process() that throws. */
    std::size_t process(span<const float> pcm, span<std::uint32_t> codes) { return try_process(pcm, codes).value(); }
    /** try_flush() that throws. */
    std::size_t flush(span<std::uint32_t> codes) { return try_flush(codes).value(); }
    /** try_append() that throws. */
    std::size_t append(span<const float> pcm, std::vector<std::uint32_t> &codes) { return try_append(pcm, codes).value(); }
    /** try_append_flush() that throws. */
    std::size_t append_flush(std::vector<std::uint32_t> &codes) { return try_append_flush(codes).value(); }
    /** try_codes_for() that throws. */
    std::size_t codes_for(std::size_t samples) const { return try_codes_for(samples).value(); }
    /** try_process_latents() that throws. */
    std::size_t process_latents(span<const float> pcm, span<float> latents) {
        return try_process_latents(pcm, latents).value();
    }
    /** try_flush_latents() that throws. */
    std::size_t flush_latents(span<float> latents) { return try_flush_latents(latents).value(); }
    /** try_append_latents() that throws. */
    std::size_t append_latents(span<const float> pcm, std::vector<float> &latents) {
        return try_append_latents(pcm, latents).value();
    }
    /** try_append_flush_latents() that throws. */
    std::size_t append_flush_latents(std::vector<float> &latents) { return try_append_flush_latents(latents).value(); }
    /** try_latents_for() that throws. */
    std::size_t latents_for(std::size_t samples) const { return try_latents_for(samples).value(); }
    /** try_reset() that throws. */
    void reset() { try_reset().value(); }
    /** try_get() that throws. */
    std::int64_t get(mimi_prop key) const { return try_get(key).value(); }
    /** try_clone() that throws. */
    encoder clone() const { return try_clone().value(); }
#endif

    /** Whether there is a stream. */
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The C handle, which stays this object's. */
    mimi_encoder *c_handle() const noexcept { return handle_.get(); }
    /** The C handle, which becomes yours to free. */
    mimi_encoder *release() noexcept { return handle_.release(); }

  private:
    detail::owned<mimi_encoder, mimi_encoder_free> handle_;
};

/** A code that did not arrive, in the input of decoders. */
constexpr std::uint32_t no_code = MIMI_NO_CODE;

/** A stream of codes to audio. One thread at a time; it may move between threads. */
class decoder {
  public:
    /** An empty handle. */
    decoder() noexcept = default;
    /** Takes over a C handle. */
    explicit decoder(mimi_decoder *handle) noexcept : handle_(handle) {}

    /**
     * Takes whole frames of codes and writes their audio. Real-time.
     *
     * Gives the number of samples written. With too little room, status::buffer_too_small,
     * mimi::failure::needed() says how much, and nothing was taken. mimi::no_code stands for a code that
     * did not arrive.
     */
    result<std::size_t> try_process(span<const std::uint32_t> codes, span<float> pcm) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_decoder_process(handle_.get(), codes.data(), codes.size(), pcm.data(), pcm.size(), &n);
        return detail::count_rt(s, n);
    }

    /** Ends the stream and writes what audio is still due. Real-time. */
    result<std::size_t> try_flush(span<float> pcm) noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_decoder_flush(handle_.get(), pcm.data(), pcm.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process(), for frames none of whose codes arrived; `codes` counts their codes. Real-time. */
    result<std::size_t> try_process_lost(std::size_t codes, span<float> pcm) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_decoder_process(handle_.get(), nullptr, codes, pcm.data(), pcm.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process_lost(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_lost(std::size_t codes, std::vector<float> &pcm) {
        return detail::append_rt(pcm, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decoder_process(handle_.get(), nullptr, codes, data, room, n);
        });
    }

    /** As try_process(), of whole frames of latents. Real-time. */
    result<std::size_t> try_process_latents(span<const float> latents, span<float> pcm) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_decoder_process_latents(handle_.get(), latents.data(), latents.size(), pcm.data(), pcm.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process_latents(), for frames that did not arrive; `values` counts their values. Real-time. */
    result<std::size_t> try_process_lost_latents(std::size_t values, span<float> pcm) noexcept {
        std::size_t n = 0;
        const mimi_status s =
            mimi_decoder_process_latents(handle_.get(), nullptr, values, pcm.data(), pcm.size(), &n);
        return detail::count_rt(s, n);
    }

    /** As try_process_latents(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_latents(span<const float> latents, std::vector<float> &pcm) {
        return detail::append_rt(pcm, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decoder_process_latents(handle_.get(), latents.data(), latents.size(), data, room, n);
        });
    }

    /** As try_process_lost_latents(), but appends to a vector; gives the number appended. */
    result<std::size_t> try_append_lost_latents(std::size_t values, std::vector<float> &pcm) {
        return detail::append_rt(pcm, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decoder_process_latents(handle_.get(), nullptr, values, data, room, n);
        });
    }

    /** The samples that try_process_latents() would write for so many values now, whole frames. Real-time. */
    result<std::size_t> try_samples_for_latents(std::size_t values) const noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_decoder_samples_for_latents(handle_.get(), values, &n);
        return detail::count_rt(s, n);
    }

    /** As try_process(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append(span<const std::uint32_t> codes, std::vector<float> &pcm) {
        return detail::append_rt(pcm, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decoder_process(handle_.get(), codes.data(), codes.size(), data, room, n);
        });
    }

    /** As try_flush(), but appends to a vector, which grows if it must; gives the number appended. */
    result<std::size_t> try_append_flush(std::vector<float> &pcm) {
        return detail::append_rt(pcm, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decoder_flush(handle_.get(), data, room, n);
        });
    }

    /** The samples that try_process() would write for so many codes now, whole frames. Real-time. */
    result<std::size_t> try_samples_for(std::size_t codes) const noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_decoder_samples_for(handle_.get(), codes, &n);
        return detail::count_rt(s, n);
    }

    /** Forgets everything: the stream is as new. Real-time. */
    result<nothing> try_reset() noexcept { return detail::done_rt(mimi_decoder_reset(handle_.get())); }

    /** A property, a MIMI_PROP_ key. Real-time. */
    result<std::int64_t> try_get(mimi_prop key) const noexcept {
        std::int64_t value = 0;
        const mimi_status s = mimi_decoder_get(handle_.get(), key, &value);
        if (s != MIMI_OK)
            return detail::failed_rt(s);
        return value;
    }

    /** Forks the stream: the copy stands at the same point and goes its own way. */
    result<decoder> try_clone() const {
        mimi_decoder *copy = nullptr;
        const mimi_status s = mimi_decoder_clone(handle_.get(), &copy);
        if (s != MIMI_OK)
            return detail::failed(s);
        return decoder(copy);
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_process() that throws. */
    std::size_t process(span<const std::uint32_t> codes, span<float> pcm) { return try_process(codes, pcm).value(); }
    /** try_process_lost() that throws. */
    std::size_t process_lost(std::size_t codes, span<float> pcm) { return try_process_lost(codes, pcm).value(); }
    /** try_append_lost() that throws. */
    std::size_t append_lost(std::size_t codes, std::vector<float> &pcm) { return try_append_lost(codes, pcm).value(); }
    /** try_flush() that throws. */
    std::size_t flush(span<float> pcm) { return try_flush(pcm).value(); }
    /** try_append() that throws. */
    std::size_t append(span<const std::uint32_t> codes, std::vector<float> &pcm) { return try_append(codes, pcm).value(); }
    /** try_append_flush() that throws. */
    std::size_t append_flush(std::vector<float> &pcm) { return try_append_flush(pcm).value(); }
    /** try_samples_for() that throws. */
    std::size_t samples_for(std::size_t codes) const { return try_samples_for(codes).value(); }
    /** try_process_latents() that throws. */
    std::size_t process_latents(span<const float> latents, span<float> pcm) {
        return try_process_latents(latents, pcm).value();
    }
    /** try_process_lost_latents() that throws. */
    std::size_t process_lost_latents(std::size_t values, span<float> pcm) {
        return try_process_lost_latents(values, pcm).value();
    }
    /** try_append_latents() that throws. */
    std::size_t append_latents(span<const float> latents, std::vector<float> &pcm) {
        return try_append_latents(latents, pcm).value();
    }
    /** try_append_lost_latents() that throws. */
    std::size_t append_lost_latents(std::size_t values, std::vector<float> &pcm) {
        return try_append_lost_latents(values, pcm).value();
    }
    /** try_samples_for_latents() that throws. */
    std::size_t samples_for_latents(std::size_t values) const { return try_samples_for_latents(values).value(); }
    /** try_reset() that throws. */
    void reset() { try_reset().value(); }
    /** try_get() that throws. */
    std::int64_t get(mimi_prop key) const { return try_get(key).value(); }
    /** try_clone() that throws. */
    decoder clone() const { return try_clone().value(); }
#endif

    /** Whether there is a stream. */
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The C handle, which stays this object's. */
    mimi_decoder *c_handle() const noexcept { return handle_.get(); }
    /** The C handle, which becomes yours to free. */
    mimi_decoder *release() noexcept { return handle_.release(); }

  private:
    detail::owned<mimi_decoder, mimi_decoder_free> handle_;
};

/**
 * What stands before the frames of a token file: mimi_token_header, with its size set. `n_samples` and
 * `frame_samples` count at its `sample_rate`, and `original_samples` at its `original_rate`.
 */
struct token_header : mimi_token_header {
    /** Everything unknown. */
    token_header() noexcept : mimi_token_header() { size = sizeof(mimi_token_header); }

    /** The length of the recording at another sample rate, such as a decoder's; 0: unknown. */
    result<std::int64_t> try_samples_at(std::int64_t rate) const {
        std::int64_t n = 0;
        const mimi_status s = mimi_header_samples(this, rate, &n);
        if (s != MIMI_OK)
            return detail::failed(s);
        return n;
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_samples_at() that throws. */
    std::int64_t samples_at(std::int64_t rate) const { return try_samples_at(rate).value(); }
#endif
};

/**
 * Live audio to codes. One thread writes, one reads, one works, at the same time; see mimi.h. Its address may be
 * shared by them, and must not be moved from meanwhile.
 */
class capture {
  public:
    /** An empty handle. */
    capture() noexcept = default;
    /** Takes over a C handle. */
    explicit capture(mimi_capture *handle) noexcept : handle_(handle) {}

    /** Takes any number of samples. Real-time. On the audio thread. */
    result<nothing> try_write(span<const float> pcm) noexcept {
        return detail::done_rt(mimi_capture_write(handle_.get(), pcm.data(), pcm.size()));
    }

    /** Reads the codes of whole frames that are ready; gives their number, often 0. Real-time. On any one thread. */
    result<std::size_t> try_read(span<std::uint32_t> codes) noexcept {
        std::size_t n = 0;
        const mimi_status s = mimi_capture_read(handle_.get(), codes.data(), codes.size(), &n);
        return detail::count_rt(s, n);
    }

    /** Does the work that is due, with live_work::other. On any one thread. */
    result<nothing> try_work() noexcept { return detail::done_rt(mimi_capture_work(handle_.get())); }

    /** Forgets everything: it is as new. Real-time. No other call may use it meanwhile. */
    result<nothing> try_reset() noexcept { return detail::done_rt(mimi_capture_reset(handle_.get())); }

    /** A property, a MIMI_PROP_ key. Real-time. On any thread. */
    result<std::int64_t> try_get(mimi_prop key) const noexcept {
        std::int64_t value = 0;
        const mimi_status s = mimi_capture_get(handle_.get(), key, &value);
        if (s != MIMI_OK)
            return detail::failed_rt(s);
        return value;
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_write() that throws. */
    void write(span<const float> pcm) { try_write(pcm).value(); }
    /** try_read() that throws. */
    std::size_t read(span<std::uint32_t> codes) { return try_read(codes).value(); }
    /** try_work() that throws. */
    void work() { try_work().value(); }
    /** try_reset() that throws. */
    void reset() { try_reset().value(); }
    /** try_get() that throws. */
    std::int64_t get(mimi_prop key) const { return try_get(key).value(); }
#endif

    /** Whether there is one. */
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The C handle, which stays this object's. */
    mimi_capture *c_handle() const noexcept { return handle_.get(); }
    /** The C handle, which becomes yours to free. */
    mimi_capture *release() noexcept { return handle_.release(); }

  private:
    detail::owned<mimi_capture, mimi_capture_free> handle_;
};

/**
 * Live codes to audio. One thread writes, one reads, one works, at the same time; see mimi.h. Its address may be
 * shared by them, and must not be moved from meanwhile.
 */
class playback {
  public:
    /** An empty handle. */
    playback() noexcept = default;
    /** Takes over a C handle. */
    explicit playback(mimi_playback *handle) noexcept : handle_(handle) {}

    /** Takes whole frames of codes: all, or none with status::buffer_too_small. Real-time. On any one thread. */
    result<nothing> try_write(span<const std::uint32_t> codes) noexcept {
        return detail::done_rt(mimi_playback_write(handle_.get(), codes.data(), codes.size()));
    }

    /** try_write() of frames that were lost, so many codes of them. Real-time. On the thread of try_write(). */
    result<nothing> try_write_lost(std::size_t codes) noexcept {
        return detail::done_rt(mimi_playback_write(handle_.get(), nullptr, codes));
    }

    /** Fills `pcm` with the next samples. Real-time. On the audio thread. */
    result<nothing> try_read(span<float> pcm) noexcept {
        return detail::done_rt(mimi_playback_read(handle_.get(), pcm.data(), pcm.size()));
    }

    /** Does the work that is due, with live_work::other. On any one thread. */
    result<nothing> try_work() noexcept { return detail::done_rt(mimi_playback_work(handle_.get())); }

    /** Forgets everything: it is as new. Real-time. No other call may use it meanwhile. */
    result<nothing> try_reset() noexcept { return detail::done_rt(mimi_playback_reset(handle_.get())); }

    /** A property, a MIMI_PROP_ key. Real-time. On any thread. */
    result<std::int64_t> try_get(mimi_prop key) const noexcept {
        std::int64_t value = 0;
        const mimi_status s = mimi_playback_get(handle_.get(), key, &value);
        if (s != MIMI_OK)
            return detail::failed_rt(s);
        return value;
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_write() that throws. */
    void write(span<const std::uint32_t> codes) { try_write(codes).value(); }
    /** try_write_lost() that throws. */
    void write_lost(std::size_t codes) { try_write_lost(codes).value(); }
    /** try_read() that throws. */
    void read(span<float> pcm) { try_read(pcm).value(); }
    /** try_work() that throws. */
    void work() { try_work().value(); }
    /** try_reset() that throws. */
    void reset() { try_reset().value(); }
    /** try_get() that throws. */
    std::int64_t get(mimi_prop key) const { return try_get(key).value(); }
#endif

    /** Whether there is one. */
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The C handle, which stays this object's. */
    mimi_playback *c_handle() const noexcept { return handle_.get(); }
    /** The C handle, which becomes yours to free. */
    mimi_playback *release() noexcept { return handle_.release(); }

  private:
    detail::owned<mimi_playback, mimi_playback_free> handle_;
};

/** A model: immutable, and for any number of threads at once. */
class model {
  public:
    /** An empty handle. */
    model() noexcept = default;
    /** Takes over a C handle. */
    explicit model(mimi_model *handle) noexcept : handle_(handle) {}

    /** Loads a file, a directory or an index of parts; the path is UTF-8 on every system. */
    static result<model> try_load(const std::string &path, const options &o = {}) {
        return make<model>(o, [&](mimi_model **out) { return mimi_load(path.c_str(), o.get(), out); });
    }

    /** Loads from the bytes of one `model.safetensors`, which may be freed afterwards. */
    static result<model> try_load_memory(span<const unsigned char> bytes, const options &o = {}) {
        return make<model>(o, [&](mimi_model **out) {
            return mimi_load_memory(bytes.data(), bytes.size(), o.get(), out);
        });
    }

    /**
     * Loads through a function `bool read(std::uint64_t offset, void *dst, std::size_t len)` that fills
     * `dst` with the bytes from `offset` on, or returns false to stop (status::aborted). It must not
     * throw. `size` is the number of all bytes.
     */
    template <class Read>
    static result<model> try_load_reader(Read &&read, std::uint64_t size, const options &o = {}) {
        using function = std::remove_reference_t<Read>;
        const mimi_read_fn call = [](void *user, std::uint64_t offset, void *dst, std::size_t len) noexcept {
            return static_cast<std::int32_t>((*static_cast<function *>(user))(offset, dst, len) ? 0 : 1);
        };
        void *user = const_cast<void *>(static_cast<const void *>(std::addressof(read)));
        return make<model>(o, [&](mimi_model **out) {
            return mimi_load_reader(call, user, size, o.get(), out);
        });
    }

    /** A property, a MIMI_PROP_ key. */
    result<std::int64_t> try_get(mimi_prop key) const {
        std::int64_t value = 0;
        const mimi_status s = mimi_model_get(handle_.get(), key, &value);
        if (s != MIMI_OK)
            return detail::failed(s);
        return value;
    }

    /** Encodes a whole recording: code k of frame f is `codes[f * codebooks + k]`. */
    result<std::vector<std::uint32_t>> try_encode(span<const float> pcm, const options &o = {}) const {
        return all<std::uint32_t>(o, [&](std::uint32_t *data, std::size_t room, std::size_t *n) {
            return mimi_encode(handle_.get(), o.get(), pcm.data(), pcm.size(), data, room, n);
        });
    }

    /** Decodes a whole recording of whole frames. */
    result<std::vector<float>> try_decode(span<const std::uint32_t> codes, const options &o = {}) const {
        return all<float>(o, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decode(handle_.get(), o.get(), codes.data(), codes.size(), data, room, n);
        });
    }

    /** The codes that try_encode() gives for so many samples. */
    result<std::size_t> try_codes_for(std::size_t samples, const options &o = {}) const {
        return count(o, [&](std::size_t *n) { return mimi_codes_for(handle_.get(), o.get(), samples, n); });
    }

    /** The samples that try_decode() gives for so many codes, whole frames. */
    result<std::size_t> try_samples_for(std::size_t codes, const options &o = {}) const {
        return count(o, [&](std::size_t *n) { return mimi_samples_for(handle_.get(), o.get(), codes, n); });
    }

    /** Encodes a whole recording to latents: value v of frame f is `latents[f * dim + v]`. */
    result<std::vector<float>> try_encode_latents(span<const float> pcm, const options &o = {}) const {
        return all<float>(o, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_encode_latents(handle_.get(), o.get(), pcm.data(), pcm.size(), data, room, n);
        });
    }

    /** Decodes a whole recording of whole frames of latents. */
    result<std::vector<float>> try_decode_latents(span<const float> latents, const options &o = {}) const {
        return all<float>(o, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_decode_latents(handle_.get(), o.get(), latents.data(), latents.size(), data, room, n);
        });
    }

    /** The values that try_encode_latents() gives for so many samples. */
    result<std::size_t> try_latents_for(std::size_t samples, const options &o = {}) const {
        return count(o, [&](std::size_t *n) { return mimi_latents_for(handle_.get(), o.get(), samples, n); });
    }

    /** The samples that try_decode_latents() gives for so many values, whole frames. */
    result<std::size_t> try_samples_for_latents(std::size_t values, const options &o = {}) const {
        return count(o, [&](std::size_t *n) { return mimi_samples_for_latents(handle_.get(), o.get(), values, n); });
    }

    /** Turns whole frames of latents into codes, with the quantizer alone. */
    result<std::vector<std::uint32_t>> try_quantize(span<const float> latents, const options &o = {}) const {
        return all<std::uint32_t>(o, [&](std::uint32_t *data, std::size_t room, std::size_t *n) {
            return mimi_quantize(handle_.get(), o.get(), latents.data(), latents.size(), data, room, n);
        });
    }

    /** Turns whole frames of codes into latents, with the quantizer alone. */
    result<std::vector<float>> try_dequantize(span<const std::uint32_t> codes, const options &o = {}) const {
        return all<float>(o, [&](float *data, std::size_t room, std::size_t *n) {
            return mimi_dequantize(handle_.get(), o.get(), codes.data(), codes.size(), data, room, n);
        });
    }

    /** The header of a token file for codes made with these options; the length is for you to set. */
    result<token_header> try_header(const options &o = {}) const {
        if (o.code() != status::ok)
            return o.error();
        token_header h;
        const mimi_status s = mimi_model_header(handle_.get(), o.get(), &h);
        if (s != MIMI_OK)
            return detail::failed(s);
        return h;
    }

    /** Opens a stream of audio to codes; all the memory that it will use is allocated here. */
    result<encoder> try_new_encoder(const options &o = {}) const {
        return make<encoder>(o, [&](mimi_encoder **out) { return mimi_encoder_new(handle_.get(), o.get(), out); });
    }

    /** Opens a stream of codes to audio; all the memory that it will use is allocated here. */
    result<decoder> try_new_decoder(const options &o = {}) const {
        return make<decoder>(o, [&](mimi_decoder **out) { return mimi_decoder_new(handle_.get(), o.get(), out); });
    }

    /** Opens a capture; all the memory that it will use is allocated here. */
    result<capture> try_new_capture(const options &o = {}) const {
        return make<capture>(o, [&](mimi_capture **out) { return mimi_capture_new(handle_.get(), o.get(), out); });
    }

    /** Opens a playback; all the memory that it will use is allocated here. */
    result<playback> try_new_playback(const options &o = {}) const {
        return make<playback>(o, [&](mimi_playback **out) { return mimi_playback_new(handle_.get(), o.get(), out); });
    }

#if MIMI_HPP_EXCEPTIONS
    /** try_load() that throws. */
    static model load(const std::string &path, const options &o = {}) { return try_load(path, o).value(); }
    /** try_load_memory() that throws. */
    static model load_memory(span<const unsigned char> bytes, const options &o = {}) {
        return try_load_memory(bytes, o).value();
    }
    /** try_load_reader() that throws; the function itself still must not. */
    template <class Read> static model load_reader(Read &&read, std::uint64_t size, const options &o = {}) {
        return try_load_reader(std::forward<Read>(read), size, o).value();
    }
    /** try_get() that throws. */
    std::int64_t get(mimi_prop key) const { return try_get(key).value(); }
    /** try_encode() that throws. */
    std::vector<std::uint32_t> encode(span<const float> pcm, const options &o = {}) const {
        return try_encode(pcm, o).value();
    }
    /** try_decode() that throws. */
    std::vector<float> decode(span<const std::uint32_t> codes, const options &o = {}) const {
        return try_decode(codes, o).value();
    }
    /** try_codes_for() that throws. */
    std::size_t codes_for(std::size_t samples, const options &o = {}) const { return try_codes_for(samples, o).value(); }
    /** try_samples_for() that throws. */
    std::size_t samples_for(std::size_t codes, const options &o = {}) const { return try_samples_for(codes, o).value(); }
    /** try_encode_latents() that throws. */
    std::vector<float> encode_latents(span<const float> pcm, const options &o = {}) const {
        return try_encode_latents(pcm, o).value();
    }
    /** try_decode_latents() that throws. */
    std::vector<float> decode_latents(span<const float> latents, const options &o = {}) const {
        return try_decode_latents(latents, o).value();
    }
    /** try_latents_for() that throws. */
    std::size_t latents_for(std::size_t samples, const options &o = {}) const {
        return try_latents_for(samples, o).value();
    }
    /** try_samples_for_latents() that throws. */
    std::size_t samples_for_latents(std::size_t values, const options &o = {}) const {
        return try_samples_for_latents(values, o).value();
    }
    /** try_quantize() that throws. */
    std::vector<std::uint32_t> quantize(span<const float> latents, const options &o = {}) const {
        return try_quantize(latents, o).value();
    }
    /** try_dequantize() that throws. */
    std::vector<float> dequantize(span<const std::uint32_t> codes, const options &o = {}) const {
        return try_dequantize(codes, o).value();
    }
    /** try_header() that throws. */
    token_header header(const options &o = {}) const { return try_header(o).value(); }
    /** try_new_encoder() that throws. */
    encoder new_encoder(const options &o = {}) const { return try_new_encoder(o).value(); }
    /** try_new_decoder() that throws. */
    decoder new_decoder(const options &o = {}) const { return try_new_decoder(o).value(); }
    /** try_new_capture() that throws. */
    capture new_capture(const options &o = {}) const { return try_new_capture(o).value(); }
    /** try_new_playback() that throws. */
    playback new_playback(const options &o = {}) const { return try_new_playback(o).value(); }
#endif

    /** Whether there is a model. */
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    /** The C handle, which stays this object's. */
    mimi_model *c_handle() const noexcept { return handle_.get(); }
    /** The C handle, which becomes yours to free. */
    mimi_model *release() noexcept { return handle_.release(); }

  private:
    /* A new T of `call(&handle)`. */
    template <class T, class Call> static result<T> make(const options &o, Call call) {
        if (o.code() != status::ok)
            return o.error();
        std::remove_pointer_t<decltype(std::declval<T &>().c_handle())> *handle = nullptr;
        const mimi_status s = call(&handle);
        if (s != MIMI_OK)
            return detail::failed(s);
        return T(handle);
    }

    /* The number that `call(&n)` writes. */
    template <class Call> static result<std::size_t> count(const options &o, Call call) {
        if (o.code() != status::ok)
            return o.error();
        std::size_t n = 0;
        const mimi_status s = call(&n);
        if (s != MIMI_OK)
            return detail::failed(s);
        return n;
    }

    /* All that `call(data, room, &n)` writes; asks for the size first. */
    template <class T, class Call> static result<std::vector<T>> all(const options &o, Call call) {
        if (o.code() != status::ok)
            return o.error();
        std::vector<T> out;
        std::size_t n = 0;
        mimi_status s = call(nullptr, 0, &n);
        if (s == MIMI_ERR_BUFFER_TOO_SMALL) {
            out.resize(n);
            s = call(out.data(), out.size(), &n);
        }
        if (s != MIMI_OK)
            return detail::failed(s, n);
        return out;
    }

    detail::owned<mimi_model, mimi_free> handle_;
};

/**
 * Encodes exactly one frame for each of several streams of one model. Real-time.
 *
 * For each stream its C handle, a pointer to a frame of samples, and one to room for a frame of codes.
 */
inline result<nothing> try_process_many(span<mimi_encoder *const> encoders, span<const float *const> pcm,
                                        span<std::uint32_t *const> codes) noexcept {
    if (pcm.size() != encoders.size() || codes.size() != encoders.size())
        return failure(status::invalid_argument);
    return detail::done_rt(
        mimi_encoder_process_many(encoders.data(), encoders.size(), pcm.data(), codes.data()));
}

/**
 * Decodes exactly one frame for each of several streams of one model. Real-time.
 *
 * For each stream its C handle, a pointer to a frame of codes, and one to room for a frame of samples.
 */
inline result<nothing> try_process_many(span<mimi_decoder *const> decoders,
                                        span<const std::uint32_t *const> codes,
                                        span<float *const> pcm) noexcept {
    if (pcm.size() != decoders.size() || codes.size() != decoders.size())
        return failure(status::invalid_argument);
    return detail::done_rt(
        mimi_decoder_process_many(decoders.data(), decoders.size(), codes.data(), pcm.data()));
}

/** try_process_many() of encoders, to latents: for each stream a pointer to room for a frame of them. Real-time. */
inline result<nothing> try_process_many_latents(span<mimi_encoder *const> encoders, span<const float *const> pcm,
                                                span<float *const> latents) noexcept {
    if (pcm.size() != encoders.size() || latents.size() != encoders.size())
        return failure(status::invalid_argument);
    return detail::done_rt(
        mimi_encoder_process_many_latents(encoders.data(), encoders.size(), pcm.data(), latents.data()));
}

/** try_process_many() of decoders, of latents: for each stream a pointer to a frame of them. Real-time. */
inline result<nothing> try_process_many_latents(span<mimi_decoder *const> decoders,
                                                span<const float *const> latents,
                                                span<float *const> pcm) noexcept {
    if (pcm.size() != decoders.size() || latents.size() != decoders.size())
        return failure(status::invalid_argument);
    return detail::done_rt(
        mimi_decoder_process_many_latents(decoders.data(), decoders.size(), latents.data(), pcm.data()));
}

/** The header of a token file as bytes. */
inline result<std::vector<unsigned char>> try_pack_header(const token_header &h) {
    std::vector<unsigned char> bytes;
    std::size_t n = 0;
    mimi_status s = mimi_pack_header(&h, nullptr, 0, &n);
    if (s == MIMI_ERR_BUFFER_TOO_SMALL) {
        bytes.resize(n);
        s = mimi_pack_header(&h, bytes.data(), bytes.size(), &n);
    }
    if (s != MIMI_OK)
        return detail::failed(s, n);
    return bytes;
}

/** Reads the header at the beginning of a token file. */
inline result<token_header> try_unpack_header(span<const unsigned char> bytes) {
    token_header h;
    const mimi_status s = mimi_unpack_header(bytes.data(), bytes.size(), &h);
    if (s != MIMI_OK)
        return detail::failed(s);
    return h;
}

/** Packs whole frames of codes; gives the number of bytes. Real-time. */
inline result<std::size_t> try_pack(span<const std::uint32_t> codes, std::int64_t codebooks,
                                    std::int64_t code_bits, span<unsigned char> bytes) noexcept {
    std::size_t n = 0;
    const mimi_status s =
        mimi_pack(codes.data(), codes.size(), codebooks, code_bits, bytes.data(), bytes.size(), &n);
    return detail::count_rt(s, n);
}

/** Unpacks whole frames of bytes; gives the number of codes. Real-time. */
inline result<std::size_t> try_unpack(span<const unsigned char> bytes, std::int64_t codebooks,
                                      std::int64_t code_bits, span<std::uint32_t> codes) noexcept {
    std::size_t n = 0;
    const mimi_status s =
        mimi_unpack(bytes.data(), bytes.size(), codebooks, code_bits, codes.data(), codes.size(), &n);
    return detail::count_rt(s, n);
}

/**
 * Keeps the first codebooks of whole packed frames, which are moved together at the front; gives the number
 * of bytes left. Real-time.
 */
inline result<std::size_t> try_drop_codebooks(span<unsigned char> frames, std::int64_t codebooks,
                                              std::int64_t code_bits, std::int64_t keep) noexcept {
    std::size_t n = 0;
    const mimi_status s =
        mimi_drop_codebooks(frames.data(), frames.size(), codebooks, code_bits, keep, &n);
    return detail::count_rt(s, n);
}

#if MIMI_HPP_EXCEPTIONS
/** try_process_many() that throws. */
inline void process_many(span<mimi_encoder *const> encoders, span<const float *const> pcm,
                         span<std::uint32_t *const> codes) {
    try_process_many(encoders, pcm, codes).value();
}
/** try_process_many() that throws. */
inline void process_many(span<mimi_decoder *const> decoders, span<const std::uint32_t *const> codes,
                         span<float *const> pcm) {
    try_process_many(decoders, codes, pcm).value();
}
/** try_process_many_latents() that throws. */
inline void process_many_latents(span<mimi_encoder *const> encoders, span<const float *const> pcm,
                                 span<float *const> latents) {
    try_process_many_latents(encoders, pcm, latents).value();
}
/** try_process_many_latents() that throws. */
inline void process_many_latents(span<mimi_decoder *const> decoders, span<const float *const> latents,
                                 span<float *const> pcm) {
    try_process_many_latents(decoders, latents, pcm).value();
}
/** try_pack_header() that throws. */
inline std::vector<unsigned char> pack_header(const token_header &h) { return try_pack_header(h).value(); }
/** try_unpack_header() that throws. */
inline token_header unpack_header(span<const unsigned char> bytes) { return try_unpack_header(bytes).value(); }
/** try_pack() that throws. */
inline std::size_t pack(span<const std::uint32_t> codes, std::int64_t codebooks, std::int64_t code_bits,
                        span<unsigned char> bytes) {
    return try_pack(codes, codebooks, code_bits, bytes).value();
}
/** try_unpack() that throws. */
inline std::size_t unpack(span<const unsigned char> bytes, std::int64_t codebooks, std::int64_t code_bits,
                          span<std::uint32_t> codes) {
    return try_unpack(bytes, codebooks, code_bits, codes).value();
}
/** try_drop_codebooks() that throws. */
inline std::size_t drop_codebooks(span<unsigned char> frames, std::int64_t codebooks, std::int64_t code_bits,
                                  std::int64_t keep) {
    return try_drop_codebooks(frames, codebooks, code_bits, keep).value();
}
#endif

static_assert(sizeof(model) == sizeof(void *) && sizeof(encoder) == sizeof(void *) &&
                  sizeof(decoder) == sizeof(void *) && sizeof(capture) == sizeof(void *) &&
                  sizeof(playback) == sizeof(void *),
              "a handle is a pointer");
static_assert(std::is_nothrow_move_constructible_v<model> && !std::is_copy_constructible_v<model>,
              "handles are move-only");

} // namespace mimi

#endif // MIMI_HPP
