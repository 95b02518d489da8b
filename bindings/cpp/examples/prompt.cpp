/*
 * prompt MODEL SECONDS: the voice of a prompt, decoded once, and forked for each sentence.
 *
 *     ./prompt model.safetensors 10 < voice.f32 | ffplay -f f32le -ar 24000 -
 *
 * A text-to-speech model is given the codes of a voice, and makes codes that go on after them. Their sound begins
 * where the prompt's ended, so a decoder must have heard the prompt first. It hears it once: each sentence is a fork of
 * it, which costs a copy of its memory and gives the same bits. Here the first seconds of stdin are the prompt. What
 * follows is the sentence, which is said twice.
 *
 * Build: c++ -std=c++17 prompt.cpp $(pkg-config --cflags --libs mimi) -o prompt
 */
#include <mimi.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

int main(int argc, char **argv) try {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s MODEL SECONDS\n", argv[0]);
        return 2;
    }
    const auto model = mimi::model::load(argv[1]);
    std::vector<float> pcm;
    std::array<float, 480> block;
    while (const std::size_t n = std::fread(block.data(), sizeof(float), block.size(), stdin))
        pcm.insert(pcm.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(n));
    const auto codes = model.encode(pcm);

    auto voice = model.new_decoder();
    const auto codebooks = static_cast<std::size_t>(voice.get(MIMI_PROP_CODEBOOKS));
    const auto rate = static_cast<double>(voice.get(MIMI_PROP_SAMPLE_RATE));
    const auto frame = static_cast<double>(voice.get(MIMI_PROP_FRAME_SAMPLES));
    const auto frames = static_cast<std::size_t>(std::max(0.0, std::strtod(argv[2], nullptr) * rate / frame));
    const std::size_t prompt = std::min(frames * codebooks, codes.size());
    std::vector<float> heard;
    voice.append({codes.data(), prompt}, heard);

    std::array<mimi::decoder, 2> speakers{voice.clone(), voice.clone()};
    voice = {}; // its forks go on
    for (auto &speaker : speakers) { // or each on a thread of its own
        std::vector<float> sentence;
        speaker.append({codes.data() + prompt, codes.size() - prompt}, sentence);
        if (std::fwrite(sentence.data(), sizeof(float), sentence.size(), stdout) != sentence.size())
            return 1;
    }
    return std::fflush(stdout) == 0 ? 0 : 1;
} catch (const mimi::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
