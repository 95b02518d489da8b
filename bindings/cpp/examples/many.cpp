/*
 * many MODEL: several conversations at once through the batcher, each on a thread of its own, compared with streams
 * alone. Audio on stdin, 32-bit floats, mono.
 *
 * Build: c++ -std=c++17 -pthread many.cpp $(pkg-config --cflags --libs mimi) -o many
 */
#include "batcher.hpp"

#include <array>
#include <atomic>
#include <cstdio>

namespace {

constexpr std::size_t conversations = 12;

/** Encodes and decodes whole frames of the audio from some sample on. */
bool is_as_alone(const mimi::model &model, batcher &run, const std::vector<float> &audio, std::size_t from) {
    const auto samples = static_cast<std::size_t>(model.get(MIMI_PROP_FRAME_SAMPLES));
    auto encoder = model.new_encoder(), solo_encoder = model.new_encoder();
    auto decoder = model.new_decoder(), solo_decoder = model.new_decoder();
    const auto codebooks = static_cast<std::size_t>(encoder.get(MIMI_PROP_CODEBOOKS));
    std::vector<std::uint32_t> codes(codebooks), solo_codes;
    std::vector<float> heard(samples), solo_heard;
    bool equal = true;
    for (std::size_t at = from; at + samples <= audio.size(); at += samples) {
        solo_codes.clear();
        solo_heard.clear();
        solo_encoder.append({&audio[at], samples}, solo_codes);
        solo_decoder.append(solo_codes, solo_heard);
        equal = equal && run.encode(encoder, &audio[at], codes.data()) == mimi::status::ok && codes == solo_codes &&
                run.decode(decoder, codes.data(), heard.data()) == mimi::status::ok && heard == solo_heard;
    }
    codes.assign(codebooks, 1u << 20); // no codes: the others notice nothing
    return equal && run.decode(decoder, codes.data(), heard.data()) == mimi::status::corrupt;
}

} // namespace

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    const auto model = mimi::model::load(argv[1]);
    std::vector<float> audio;
    std::array<float, 4096> block;
    while (const std::size_t n = std::fread(block.data(), sizeof(float), block.size(), stdin))
        audio.insert(audio.end(), block.data(), block.data() + n);
    std::atomic<std::size_t> equal{0};
    {
        batcher run(2);
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < conversations; i++)
            threads.emplace_back([&, i] { equal += is_as_alone(model, run, audio, 100 * i) ? 1u : 0u; });
        for (std::thread &thread : threads)
            thread.join();
    }
    std::printf("%zu of %zu conversations as alone\n", equal.load(), conversations);
    return equal == conversations ? 0 : 1;
} catch (const mimi::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
