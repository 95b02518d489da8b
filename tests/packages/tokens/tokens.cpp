// As tokens.c, with mimi.hpp, and streams instead of one call.
#include <mimi.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace {

template <class T> std::vector<T> read(const char *path) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
    std::vector<T> values(bytes.size() / sizeof(T));
    std::copy_n(bytes.data(), values.size() * sizeof(T), reinterpret_cast<char *>(values.data()));
    return values;
}

template <class T> void write(std::ofstream &file, const std::vector<T> &values) {
    file.write(reinterpret_cast<const char *>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(T)));
}

void decode(const mimi::model &model, const char *from, std::int64_t rate, const char *to) {
    const auto file = read<unsigned char>(from);
    const auto header = mimi::unpack_header(file);
    const auto begin = static_cast<std::size_t>(header.header_bytes);
    const mimi::span<const unsigned char> frames(file.data() + begin, file.size() - begin);
    std::vector<std::uint32_t> codes(mimi::try_unpack(frames, header.codebooks, header.code_bits, {}).error().needed());
    mimi::unpack(frames, header.codebooks, header.code_bits, codes);
    rate = rate ? rate : header.sample_rate;
    auto decoder = model.new_decoder(mimi::options().codebooks(header.codebooks).sample_rate(rate));
    std::vector<float> pcm;
    decoder.append(codes, pcm);
    decoder.append_flush(pcm);
    pcm.resize(static_cast<std::size_t>(header.samples_at(rate)));
    std::ofstream out(to, std::ios::binary);
    write(out, pcm);
}

void encode(const mimi::model &model, const char *from, std::int64_t rate, const char *to) {
    const auto pcm = read<float>(from);
    mimi::options options;
    options.sample_rate(rate);
    auto encoder = model.new_encoder(options);
    std::vector<std::uint32_t> codes;
    for (std::size_t at = 0, n; at < pcm.size(); at += n) {
        n = std::min<std::size_t>(1234, pcm.size() - at);
        encoder.append({pcm.data() + at, n}, codes);
    }
    encoder.append_flush(codes);
    auto header = model.header(options);
    header.n_samples = static_cast<std::int64_t>(pcm.size());
    std::vector<unsigned char> bytes(mimi::try_pack(codes, header.codebooks, header.code_bits, {}).error().needed());
    mimi::pack(codes, header.codebooks, header.code_bits, bytes);
    std::ofstream out(to, std::ios::binary);
    write(out, mimi::pack_header(header));
    write(out, bytes);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    const auto model = mimi::model::load(argv[2]);
    (std::string(argv[1]) == "decode" ? decode : encode)(model, argv[3], std::atoi(argv[4]), argv[5]);
}
