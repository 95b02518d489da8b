/*
 * latents MODEL: latents of a language model to sound in an audio callback, such as those of Pocket TTS: 12.5 a
 * second, each of 32 floats for 1920 samples.
 *
 *     ./latents model.safetensors < latents | ffplay -f f32le -ar 24000 -
 *
 * The thread of the language model decodes each latent as soon as it has it, and puts the sound into a ring. The audio
 * callback only copies: to decode a frame takes longer than some callbacks may take. Here stdin stands for the language
 * model, and stdout for the sound card.
 *
 * Build: c++ -std=c++17 latents.cpp $(pkg-config --cflags --libs mimi) -pthread -o latents
 */
#include <mimi.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

// Samples on their way from one thread to one other. Neither ever waits for a lock.
class ring {
  public:
    // The thread of the language model. Takes as many samples as there is room for.
    std::size_t write(const float *from, std::size_t count) noexcept {
        const std::size_t at = written_.load(std::memory_order_relaxed);
        const std::size_t n = std::min(count, samples_.size() - (at - read_.load(std::memory_order_acquire)));
        for (std::size_t i = 0; i < n; i++)
            samples_[(at + i) % samples_.size()] = from[i];
        written_.store(at + n, std::memory_order_release);
        return n;
    }

    // The audio callback: fills the block, with silence where no sound is there. Gives how much sound there was.
    std::size_t read(float *block, std::size_t count) noexcept {
        const std::size_t at = read_.load(std::memory_order_relaxed);
        const std::size_t n = std::min(count, written_.load(std::memory_order_acquire) - at);
        for (std::size_t i = 0; i < count; i++)
            block[i] = i < n ? samples_[(at + i) % samples_.size()] : 0.0f;
        read_.store(at + n, std::memory_order_release);
        return n;
    }

  private:
    std::array<float, 1 << 13> samples_{}; // 340 ms, a power of two
    std::atomic<std::size_t> written_{0}, read_{0};
};

static void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    auto decoder = mimi::model::load(argv[1]).new_decoder();
    std::vector<float> latent(static_cast<std::size_t>(decoder.get(MIMI_PROP_LATENT_DIM)));
    std::vector<float> pcm(static_cast<std::size_t>(decoder.get(MIMI_PROP_FRAME_SAMPLES)));
    ring sound;
    std::atomic<bool> ended{false}, failed{false};
    // A decoder is used by one thread at a time; from here on it is always this one.
    std::thread language_model([&] {
        while (const std::size_t values = std::fread(latent.data(), sizeof(float), latent.size(), stdin)) {
            // nothing is allocated or thrown; a latent that broke off is mimi::status::invalid_argument
            const auto samples = decoder.try_process_latents({latent.data(), values}, pcm);
            if (!samples) {
                std::fprintf(stderr, "decoding: %s\n", samples.error().message());
                failed = true;
                break;
            }
            // the ring is full while the language model is ahead
            for (std::size_t sent = 0; (sent += sound.write(pcm.data() + sent, *samples - sent)) < *samples;)
                wait_a_little();
        }
        ended = true;
    });
    bool written = true;
    for (;;) { // the sound card calls every 20 ms; this one writes no silence, and is in a hurry
        std::array<float, 480> block;
        const bool last = ended; // asked first: what was written before is then there
        const std::size_t n = sound.read(block.data(), block.size());
        written = written && std::fwrite(block.data(), sizeof(float), n, stdout) == n;
        if (n == 0 && last)
            break;
        if (n == 0)
            wait_a_little();
    }
    language_model.join();
    return written && std::fflush(stdout) == 0 && !failed ? 0 : 1;
} catch (const mimi::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
