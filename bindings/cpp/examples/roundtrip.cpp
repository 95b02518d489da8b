/*
 * roundtrip MODEL: through Mimi and back. Audio on stdin and stdout, 32-bit floats, mono.
 *
 *     ffmpeg -i in.wav -f f32le -ac 1 -ar 24000 - | ./roundtrip model.safetensors | ffplay -f f32le -ar 24000 -
 *
 * Build: c++ -std=c++17 roundtrip.cpp $(pkg-config --cflags --libs mimi) -o roundtrip
 */
#include <mimi.hpp>

#include <array>
#include <cstdio>
#include <vector>

int main(int argc, char **argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL\n", argv[0]);
        return 2;
    }
    const auto model = mimi::model::load(argv[1]);
    const auto options = std::move(mimi::options().codebooks(8));
    auto encoder = model.new_encoder(options);
    auto decoder = model.new_decoder(options);

    std::array<float, 480> block; // 20 ms at 24 kHz; any size will do
    std::vector<std::uint32_t> codes;
    std::vector<float> audio;
    const auto decode_and_write = [&] {
        audio.clear();
        decoder.append(codes, audio);
        codes.clear();
        return std::fwrite(audio.data(), sizeof(float), audio.size(), stdout) == audio.size();
    };
    while (const std::size_t n = std::fread(block.data(), sizeof(float), block.size(), stdin)) {
        encoder.append({block.data(), n}, codes);
        if (!decode_and_write())
            return 1;
    }
    encoder.append_flush(codes);
    return decode_and_write() ? 0 : 1;
} catch (const mimi::exception &e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
}
