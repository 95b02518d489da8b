/*
 * Frames of many streams of one model, from many threads, run together on a few: to copy into a server.
 *
 *     batcher run(2); // threads, each on a core
 *     run.encode(encoder, pcm, codes); // on the threads of conversations: waits until the frame is done
 *
 * Every stream gets the bits that it would get alone. A frame that came first runs first, with those that came next; a
 * decoder's frames may wait a little longer. What the batcher of the Go package has, and this one lacks: it refuses
 * nobody, so that all are late when there are too many; it holds back nobody who sends faster than real time; a frame
 * cannot be given up; it waits for no company, counts nothing, and allocates. With codes that are none, a frame makes
 * those of its call run alone, which takes longer. Streams run at the model's rate.
 */
#ifndef MIMI_EXAMPLES_BATCHER_HPP
#define MIMI_EXAMPLES_BATCHER_HPP

#include <mimi.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

class batcher {
  public:
    /** Starts threads, which run up to `most` frames in a call; at most 1024. */
    explicit batcher(unsigned threads, std::size_t most = 16) : most_(std::clamp<std::size_t>(most, 1, 1024)) {
        for (unsigned i = 0; i < std::max(threads, 1u); i++)
            threads_.emplace_back([this] { work(); });
    }

    batcher(const batcher &) = delete;
    batcher &operator=(const batcher &) = delete;

    /** Waits for the frames that are there. Nobody may hand in more. */
    ~batcher() {
        {
            const std::lock_guard<std::mutex> held(lock_);
            over_ = true;
        }
        wake_.notify_all();
        for (std::thread &thread : threads_)
            thread.join();
    }

    /** Encodes a frame: `pcm` is its samples, `codes` room for its codes. One call at a time for a stream. */
    mimi::status encode(mimi::encoder &stream, const float *pcm, std::uint32_t *codes) {
        frame<encoders> f{stream.c_handle(), pcm, codes};
        return run(encoding_, f);
    }

    /** Decodes a frame: `codes` are its codes, `pcm` room for its samples. One call at a time for a stream. */
    mimi::status decode(mimi::decoder &stream, const std::uint32_t *codes, float *pcm) {
        frame<decoders> f{stream.c_handle(), codes, pcm};
        return run(decoding_, f);
    }

  private:
    using clock = std::chrono::steady_clock;

    struct encoders {
        using stream = mimi_encoder;
        using in = float;
        using out = std::uint32_t;
        static constexpr std::chrono::milliseconds due{80};
    };

    struct decoders {
        using stream = mimi_decoder;
        using in = std::uint32_t;
        using out = float;
        static constexpr std::chrono::milliseconds due{100};
    };

    /** A frame that waits, on the stack of the thread that waits for it. */
    template <class Half> struct frame {
        typename Half::stream *stream;
        const typename Half::in *in;
        typename Half::out *out;
        clock::time_point due{};
        mimi::status result = mimi::status::ok;
        bool done = false;
        std::condition_variable finished{};
    };

    template <class Half> using queue = std::deque<frame<Half> *>;

    template <class Half> mimi::status run(queue<Half> &waiting, frame<Half> &f) {
        std::unique_lock<std::mutex> held(lock_);
        f.due = clock::now() + Half::due;
        waiting.push_back(&f);
        wake_.notify_one();
        f.finished.wait(held, [&] { return f.done; });
        return f.result;
    }

    void work() {
        std::unique_lock<std::mutex> held(lock_);
        for (;;) {
            idle_++;
            wake_.wait(held, [this] { return over_ || !encoding_.empty() || !decoding_.empty(); });
            if (encoding_.empty() && decoding_.empty())
                return;
            const bool decodes =
                encoding_.empty() || (!decoding_.empty() && decoding_.front()->due < encoding_.front()->due);
            if (decodes)
                call(decoding_, held);
            else
                call(encoding_, held);
        }
    }

    /** Runs the first frames of a queue, without the lock. Threads with nothing to do share what there is. */
    template <class Half> void call(queue<Half> &first, std::unique_lock<std::mutex> &held) {
        const std::size_t waiting = encoding_.size() + decoding_.size();
        const std::size_t count = std::min({most_, first.size(), (waiting + idle_ - 1) / idle_});
        const auto last = first.begin() + static_cast<std::ptrdiff_t>(count);
        const std::vector<frame<Half> *> frames(first.begin(), last);
        first.erase(first.begin(), last);
        idle_--;
        if (count < waiting)
            wake_.notify_one();
        held.unlock();
        if (!together<Half>(frames))
            for (frame<Half> *f : frames) // one is unusable; the call has had no effect
                f->result = together<Half>({f}) ? mimi::status::ok : f->result;
        held.lock();
        for (frame<Half> *f : frames) {
            f->done = true;
            f->finished.notify_one(); // with the lock: afterwards the frame is gone
        }
    }

    /** Runs frames in one call. If it fails, nothing has happened, and each has the reason. */
    template <class Half> static bool together(const std::vector<frame<Half> *> &frames) {
        std::vector<typename Half::stream *> streams;
        std::vector<const typename Half::in *> in;
        std::vector<typename Half::out *> out;
        for (const frame<Half> *f : frames) {
            streams.push_back(f->stream);
            in.push_back(f->in);
            out.push_back(f->out);
        }
        const auto result = mimi::try_process_many(streams, in, out);
        for (frame<Half> *f : frames)
            f->result = result.code();
        return bool(result);
    }

    const std::size_t most_;
    std::mutex lock_;
    std::condition_variable wake_;
    queue<encoders> encoding_;
    queue<decoders> decoding_;
    std::size_t idle_ = 0;
    bool over_ = false;
    std::vector<std::thread> threads_;
};

#endif
