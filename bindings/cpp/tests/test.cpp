// test DATA DEMO: mimi.hpp against the golden vectors, and against mistakes. Silent on success.
//
// With and without exceptions, with std::span and without.
#include <mimi.hpp>

#include "../../../tests/c/fixture.h" // golden vectors; C and C++

#include <algorithm>
#include <array>
#include <thread>

namespace {

struct golden_case {
    explicit golden_case(const char *folder, const char *name)
        : g(read_golden(folder, name, 52837, 0)) {}
    ~golden_case() { free_golden(g); }
    golden_case(const golden_case &) = delete;
    golden_case &operator=(const golden_case &) = delete;

    mimi::span<const float> pcm() const { return {g.pcm, g.samples}; }
    mimi::span<const std::uint32_t> codes() const { return {g.codes, g.codebooks * g.frames}; }
    mimi::options options() const {
        mimi::options o;
        o.codebooks(static_cast<std::int64_t>(g.codebooks)).last_frame(mimi::tail::layer_pad);
        return o;
    }

    golden g;
};

void one_shot(const mimi::model &model, const golden_case &c) {
    auto codes = model.try_encode(c.pcm(), c.options());
    CHECK(codes && codes.code() == mimi::status::ok);
    check_codes(c.g, codes->data(), codes->size());
    auto audio = model.try_decode(c.codes(), c.options());
    CHECK(audio);
    check_audio(c.g, audio->data(), audio->size());
    CHECK(*model.try_codes_for(c.g.samples, c.options()) == codes->size());
    CHECK(*model.try_samples_for(codes->size(), c.options()) == audio->size());
    CHECK(model.try_samples_for(1, c.options()).code() == mimi::status::invalid_argument);
    // from temporaries, and from what is const
    const std::vector<float> silence(1920);
    CHECK(*model.try_encode(std::vector<float>(1920)) == *model.try_encode(silence));
}

void streams(const mimi::model &model, const golden_case &c) {
    auto opened = model.try_new_encoder(c.options());
    CHECK(opened);
    mimi::encoder encoder = std::move(*opened);
    static_assert(noexcept(encoder.try_process({}, {})) && noexcept(encoder.try_flush({})) &&
                  noexcept(encoder.try_reset()) && noexcept(encoder.try_get(0)), "[RT] calls do not throw");

    std::vector<std::uint32_t> codes;
    for (std::size_t at = 0; at < c.g.samples; at += 1000) {
        const std::size_t n = c.g.samples - at < 1000 ? c.g.samples - at : 1000;
        const std::size_t expected = *encoder.try_codes_for(n);
        CHECK(*encoder.try_append({c.g.pcm + at, n}, codes) == expected);
    }
    CHECK(encoder.try_append_flush(codes));
    check_codes(c.g, codes.data(), codes.size());
    CHECK(*encoder.try_get(MIMI_PROP_FRAMES) == static_cast<std::int64_t>(c.g.frames));

    mimi::decoder decoder = std::move(*model.try_new_decoder(c.options()));
    std::vector<float> audio(c.g.audio_samples);
    std::size_t heard = 0;
    for (std::size_t f = 0; f < c.g.frames; f++) {
        auto n = decoder.try_process({c.g.codes + f * c.g.codebooks, c.g.codebooks},
                                     {audio.data() + heard, audio.size() - heard});
        CHECK(n);
        heard += *n;
    }
    CHECK(*decoder.try_samples_for(c.g.codebooks) == audio.size() / c.g.frames);
    CHECK(*decoder.try_flush({}) == 0);
    check_audio(c.g, audio.data(), heard);

    // frames that are lost, told in each way
    std::vector<float> lost(2 * 1920), told, appended;
    std::vector<std::uint32_t> gone(2 * c.g.codebooks, mimi::no_code);
    const std::uint32_t *first = c.g.codes;
    for (auto *pcm : {&told, &appended})
        CHECK(decoder.try_append({first, c.g.codebooks}, *pcm) && decoder.try_append(gone, *pcm) && decoder.try_reset());
    CHECK(told == appended && *decoder.try_append({first, c.g.codebooks}, appended) == lost.size() / 2);
    CHECK(*decoder.try_process_lost(gone.size(), lost) == lost.size());
    CHECK(std::equal(lost.begin(), lost.end(), told.begin() + static_cast<std::ptrdiff_t>(lost.size() / 2)));
    CHECK(*decoder.try_get(MIMI_PROP_CONCEALED) == 2 && *decoder.try_append_lost(c.g.codebooks, appended) == lost.size() / 2);
}

void forks(const mimi::model &model, const golden_case &c) {
    mimi::encoder a = std::move(*model.try_new_encoder(c.options()));
    std::vector<std::uint32_t> one, two;
    CHECK(a.try_append({c.g.pcm, 5000}, one));
    mimi::encoder b = std::move(*a.try_clone());
    two = one;
    CHECK(a.try_append({c.g.pcm + 5000, c.g.samples - 5000}, one) && a.try_append_flush(one));
    CHECK(b.try_append({c.g.pcm + 5000, c.g.samples - 5000}, two) && b.try_append_flush(two));
    CHECK(one == two);
    check_codes(c.g, two.data(), two.size());
}

void failures(const mimi::model &model, const golden_case &c) {
    auto missing = mimi::model::try_load("no-such-file.safetensors");
    CHECK(!missing && missing.code() == mimi::status::io);
    CHECK(strstr(missing.error().message(), "no-such-file"));

    auto greedy = model.try_new_encoder(mimi::options().codebooks(1000));
    CHECK(!greedy && greedy.code() == mimi::status::invalid_argument);
    auto absurd = model.try_new_encoder(mimi::options().codebooks(-1));
    CHECK(!absurd && strstr(absurd.error().message(), "-1"));

    // the ways to a message
    CHECK(strcmp(absurd.error().what(), absurd.error().message()) == 0);

    // too little room: how much there must be, and nothing was taken
    mimi::encoder encoder = std::move(*model.try_new_encoder(c.options()));
    std::vector<std::uint32_t> codes(3);
    auto few = encoder.try_process({c.g.pcm, 4000}, codes);
    CHECK(few.code() == mimi::status::buffer_too_small && few.error().needed() == 2 * c.g.codebooks);
    codes.resize(few.error().needed());
    CHECK(*encoder.try_process({c.g.pcm, 4000}, codes) == codes.size());
    CHECK(memcmp(codes.data(), c.g.codes, codes.size() * sizeof codes[0]) == 0);

    // codes that cannot be
    codes[0] = 1u << 30;
    std::vector<float> audio{1.0f};
    mimi::decoder decoder = std::move(*model.try_new_decoder(c.options()));
    CHECK(decoder.try_append(codes, audio).code() == mimi::status::corrupt);
    CHECK(audio.size() == 1); // as it was

    // a handle that was moved from
    mimi::encoder moved = std::move(encoder);
    CHECK(moved && !encoder);
    CHECK(encoder.try_reset().code() == mimi::status::null_pointer);
    CHECK(moved.try_reset());
    CHECK(mimi::model().try_encode({}).code() == mimi::status::null_pointer);
}

void other_ways_to_load(const char *path) {
    std::size_t len;
    unsigned char *bytes = read_file(path, &len);
    auto from_memory = mimi::model::try_load_memory({bytes, len});
    std::size_t calls = 0;
    auto from_reader = mimi::model::try_load_reader(
        [&](std::uint64_t offset, void *dst, std::size_t n) {
            calls++;
            memcpy(dst, bytes + offset, n);
            return true;
        },
        len);
    CHECK(from_memory && from_reader && calls > 0);
    CHECK(*from_memory->try_get(MIMI_PROP_MODEL_ID) == *from_reader->try_get(MIMI_PROP_MODEL_ID));
    const auto refuse = [](std::uint64_t, void *, std::size_t) { return false; };
    CHECK(mimi::model::try_load_reader(refuse, len).code() == mimi::status::aborted);
    free(bytes);
}

void many(const mimi::model &model, const golden_case &c) {
    mimi::encoder one = std::move(*model.try_new_encoder(c.options()));
    mimi::encoder two = std::move(*model.try_new_encoder(c.options()));
    std::vector<std::uint32_t> first(c.g.codebooks), second(c.g.codebooks);
    const std::array<mimi_encoder *, 2> encoders{one.c_handle(), two.c_handle()};
    const std::array<const float *, 2> pcm{c.g.pcm, c.g.pcm};
    const std::array<std::uint32_t *, 2> codes{first.data(), second.data()};
    CHECK(mimi::try_process_many(encoders, pcm, codes));
    CHECK(first == second && memcmp(first.data(), c.g.codes, first.size() * sizeof first[0]) == 0);

    mimi::decoder decoder = std::move(*model.try_new_decoder(c.options()));
    std::vector<float> audio(c.g.audio_samples / c.g.frames);
    mimi_decoder *const decoders[]{decoder.c_handle()};
    const std::uint32_t *const in[]{first.data()};
    float *const out[]{audio.data()};
    CHECK(mimi::try_process_many(decoders, in, out));
    CHECK(memcmp(audio.data(), model.try_decode(first, c.options())->data(), audio.size() * sizeof audio[0]) == 0);
    CHECK(mimi::try_process_many(encoders, {pcm.data(), 1}, codes).code() == mimi::status::invalid_argument);
}

/* Latents in place of codes, in each way, and the quantizer alone. */
void latents(const mimi::model &model, const golden_case &c) {
    const auto options = c.options();
    const auto dim = static_cast<std::size_t>(*model.try_get(MIMI_PROP_LATENT_DIM));
    const auto values = *model.try_encode_latents(c.pcm(), options);
    CHECK(values.size() == dim * c.g.frames && *model.try_latents_for(c.g.samples, options) == values.size());
    const auto codes = *model.try_quantize(values, options);
    check_codes(c.g, codes.data(), codes.size());
    const auto given = *model.try_dequantize(c.codes(), options);
    const auto audio = *model.try_decode_latents(given, options);
    CHECK(audio == *model.try_decode(c.codes(), options));
    CHECK(*model.try_samples_for_latents(given.size(), options) == audio.size());
    CHECK(model.try_quantize({values.data(), 1}).code() == mimi::status::invalid_argument);
    CHECK(model.try_dequantize({c.g.codes, 1}).code() == mimi::status::invalid_argument);

    mimi::encoder encoder = std::move(*model.try_new_encoder(options));
    mimi::decoder decoder = std::move(*model.try_new_decoder(options));
    static_assert(noexcept(encoder.try_process_latents({}, {})) && noexcept(encoder.try_flush_latents({})) &&
                      noexcept(decoder.try_process_latents({}, {})) && noexcept(decoder.try_process_lost_latents(0, {})),
                  "[RT] calls do not throw");
    std::vector<float> streamed, heard;
    for (std::size_t at = 0; at < c.g.samples; at += 1000) {
        const std::size_t n = c.g.samples - at < 1000 ? c.g.samples - at : 1000;
        const std::size_t expected = *encoder.try_latents_for(n);
        CHECK(*encoder.try_append_latents({c.g.pcm + at, n}, streamed) == expected);
    }
    CHECK(encoder.try_append_flush_latents(streamed));
    CHECK(streamed == values);
    std::vector<float> frame(1920);
    for (std::size_t at = 0; at < given.size(); at += dim) {
        CHECK(*decoder.try_samples_for_latents(dim) == frame.size());
        if (at % (2 * dim) == 0) {
            CHECK(*decoder.try_process_latents({given.data() + at, dim}, frame) == frame.size());
            heard.insert(heard.end(), frame.begin(), frame.end());
        } else {
            CHECK(*decoder.try_append_latents({given.data() + at, dim}, heard) == frame.size());
        }
    }
    CHECK(heard == audio);
    CHECK(*decoder.try_process_lost_latents(dim, frame) == frame.size());
    CHECK(*decoder.try_append_lost_latents(dim, heard) == frame.size() && *decoder.try_get(MIMI_PROP_CONCEALED) == 2);
    CHECK(*decoder.try_process_latents({}, {}) == 0);
    CHECK(decoder.try_process_latents({given.data(), 1}, frame).code() == mimi::status::invalid_argument);
    CHECK(*encoder.try_process_latents({c.g.pcm, 1900}, {}) == 0);
    CHECK(encoder.try_process_latents({c.g.pcm, 20}, {}).error().needed() == dim);
    std::vector<float> last(dim);
    CHECK(*encoder.try_flush_latents(last) == dim && last != std::vector<float>(dim));

    CHECK(encoder.try_reset() && decoder.try_reset());
    mimi_encoder *const encoders[]{encoder.c_handle()};
    mimi_decoder *const decoders[]{decoder.c_handle()};
    const float *const pcm[]{c.g.pcm}, *const first[]{given.data()};
    float *const room[]{last.data()}, *const sound[]{frame.data()};
    CHECK(mimi::try_process_many_latents(encoders, pcm, room));
    CHECK(std::equal(last.begin(), last.end(), values.begin()));
    CHECK(mimi::try_process_many_latents(decoders, first, sound));
    CHECK(std::equal(frame.begin(), frame.end(), audio.begin()));
    CHECK(mimi::try_process_many_latents(encoders, {pcm, 0}, room).code() == mimi::status::invalid_argument);
    CHECK(mimi::try_process_many_latents(decoders, first, {sound, 0}).code() == mimi::status::invalid_argument);
}

/* A model without a quantizer. */
void latents_alone(const mimi::model &model) {
    CHECK(*model.try_get(MIMI_PROP_LATENT_DIM) == 8 && *model.try_get(MIMI_PROP_CODEBOOKS) == 0);
    const auto none = model.try_encode(std::vector<float>(1920));
    CHECK(none.code() == mimi::status::unsupported && strstr(none.error().message(), "no quantizer"));
    CHECK(model.try_quantize(std::vector<float>(8)).code() == mimi::status::unsupported);
    const auto values = *model.try_encode_latents(std::vector<float>(1921));
    CHECK(values.size() == 16 && model.try_decode_latents(values)->size() == 2 * 1920);
}

void other_rate(const mimi::model &model, const golden_case &c) {
    const auto options = std::move(c.options().sample_rate(48000));
    const auto expected = *model.try_encode(c.pcm(), options);
    const auto sound = *model.try_decode(expected, options);
    mimi::encoder encoder = std::move(*model.try_new_encoder(options));
    mimi::decoder decoder = std::move(*model.try_new_decoder(options));
    CHECK(*encoder.try_get(MIMI_PROP_FRAME_SAMPLES) == 3840 && *decoder.try_get(MIMI_PROP_SAMPLE_RATE) == 48000);
    std::vector<std::uint32_t> codes;
    std::vector<float> audio;
    CHECK(encoder.try_append(c.pcm(), codes) && encoder.try_append_flush(codes));
    CHECK(decoder.try_append(codes, audio));
    CHECK(audio.size() + static_cast<std::size_t>(*decoder.try_get(MIMI_PROP_LATENCY_SAMPLES)) == sound.size());
    CHECK(decoder.try_append_flush(audio));
    CHECK(codes == expected && audio == sound && sound.size() == codes.size() / c.g.codebooks * 3840);

    auto impossible = model.try_new_encoder(mimi::options().sample_rate(44101));
    CHECK(impossible.code() == mimi::status::invalid_argument && strstr(impossible.error().message(), "44101"));
}

void tokens(const mimi::model &model, const golden_case &c) {
    const auto books = static_cast<std::int64_t>(c.g.codebooks);
    auto written = *model.try_header(c.options().sample_rate(48000));
    written.n_samples = static_cast<std::int64_t>(c.g.samples);
    auto bytes = std::move(*mimi::try_pack_header(written));
    const auto header = *mimi::try_unpack_header(bytes);
    CHECK(header.codebooks == books && header.header_bytes == static_cast<std::int64_t>(bytes.size()));
    CHECK(header.sample_rate == 48000 && header.frame_samples == 3840 && header.n_samples == written.n_samples);
    CHECK(header.model_id == *model.try_get(MIMI_PROP_MODEL_ID));
    CHECK(*header.try_samples_at(24000) == (written.n_samples + 1) / 2);
    CHECK(header.try_samples_at(0).code() == mimi::status::invalid_argument);
    CHECK(mimi::try_pack_header({}).code() == mimi::status::invalid_argument);
    CHECK(model.try_header(mimi::options().sample_rate(11111)).code() == mimi::status::invalid_argument);
    bytes[20] ^= 1;
    CHECK(mimi::try_unpack_header(bytes).code() == mimi::status::corrupt);

    const auto frame = static_cast<std::size_t>((books * header.code_bits + 7) / 8);
    std::vector<unsigned char> frames(frame * c.g.frames);
    CHECK(*mimi::try_pack(c.codes(), books, header.code_bits, frames) == frames.size());
    std::vector<std::uint32_t> codes(c.g.frames * c.g.codebooks);
    CHECK(*mimi::try_unpack(frames, books, header.code_bits, codes) == codes.size());
    check_codes(c.g, codes.data(), codes.size());
    CHECK(mimi::try_unpack(frames, books, header.code_bits, {}).error().needed() == codes.size());

    CHECK(mimi::try_drop_codebooks(frames, books, header.code_bits, books + 1).code() == mimi::status::invalid_argument);
    frames.resize(*mimi::try_drop_codebooks(frames, books, header.code_bits, 1));
    std::vector<std::uint32_t> first(c.g.frames);
    CHECK(*mimi::try_unpack(frames, 1, header.code_bits, first) == first.size());
    for (std::size_t f = 0; f < c.g.frames; f++)
        CHECK(first[f] == codes[f * c.g.codebooks]);
}

void threads(const mimi::model &model, const golden_case &c) {
    std::vector<std::thread> all;
    for (int i = 0; i < 4; i++)
        all.emplace_back([&] { streams(model, c); });
    for (auto &thread : all)
        thread.join();
}

#if MIMI_HPP_EXCEPTIONS
void exceptions(const golden_case &c, const char *path) {
    const auto model = mimi::model::load(path);
    const auto codes = model.encode(c.pcm(), c.options());
    check_codes(c.g, codes.data(), codes.size());
    auto encoder = model.new_encoder(c.options());
    CHECK(encoder.get(MIMI_PROP_CODEBOOKS) == static_cast<std::int64_t>(c.g.codebooks));
    CHECK(model.codes_for(c.g.samples, c.options()) == codes.size() && encoder.codes_for(1920) == c.g.codebooks);
    CHECK(model.samples_for(codes.size(), c.options()) == c.g.audio_samples);
    const auto latents = model.encode_latents(c.pcm(), c.options());
    CHECK(model.quantize(latents, c.options()) == codes && model.latents_for(c.g.samples, c.options()) == latents.size());
    const auto dequantized = model.dequantize(codes, c.options());
    CHECK(model.decode_latents(dequantized, c.options()) == model.decode(codes, c.options()));
    CHECK(model.samples_for_latents(dequantized.size(), c.options()) == c.g.audio_samples);
    auto streams = std::make_pair(model.new_encoder(c.options()), model.new_decoder(c.options()));
    std::vector<float> values, sound, frame(1920);
    const std::size_t dim = streams.first.latents_for(1920);
    CHECK(streams.first.append_latents({c.g.pcm, 3000}, values) == dim && streams.first.append_flush_latents(values) == dim);
    CHECK(streams.second.append_latents(values, sound) == 2 * streams.second.samples_for_latents(dim));
    CHECK(streams.second.append_lost_latents(dim, sound) + streams.second.process_lost_latents(dim, frame) == 2 * 1920);
    CHECK(streams.first.process_latents({c.g.pcm, 1920}, values) + streams.first.flush_latents({}) == dim);
    CHECK(streams.second.process_latents({values.data(), dim}, frame) == 1920);
    const std::array<mimi_encoder *, 1> encoders{streams.first.c_handle()};
    const std::array<mimi_decoder *, 1> decoders{streams.second.c_handle()};
    const std::array<const float *, 1> in{c.g.pcm}, of{values.data()};
    const std::array<float *, 1> room{values.data()}, out{frame.data()};
    mimi::process_many_latents(encoders, in, room);
    mimi::process_many_latents(decoders, of, out);
    auto header = model.header(c.options());
    header.n_samples = 5;
    CHECK(mimi::unpack_header(mimi::pack_header(header)).samples_at(48000) == 10);
    bool caught = false;
    try {
        std::array<std::uint32_t, 1> small;
        encoder.process(c.pcm(), small);
    } catch (const mimi::exception &e) {
        caught = true;
        CHECK(e.error().code() == mimi::status::buffer_too_small);
        CHECK(strcmp(e.what(), mimi::to_string(e.error().code())) == 0);
        CHECK(e.code() == e.error().code() && e.needed() == e.error().needed() && strcmp(e.message(), e.what()) == 0);
    }
    CHECK(caught);
    caught = false;
    try {
        mimi::model::load("no-such-file.safetensors");
    } catch (const std::exception &e) {
        caught = true;
        CHECK(strstr(e.what(), "no-such-file"));
    }
    CHECK(caught);
}
#endif

/* Sound through a capture and a playback, as late as they say. */
void live(const mimi::model &model, const golden_case &c) {
    for (const mimi::live_work work : {mimi::live_work::spread, mimi::live_work::other}) {
        mimi::options o = c.options();
        o.work(work).buffer_frames(2).offline(false);
        auto opened = model.try_new_capture(o);
        auto played = model.try_new_playback(o);
        CHECK(opened && played);
        mimi::capture capture = std::move(*opened);
        mimi::playback playback = std::move(*played);
        static_assert(noexcept(capture.try_write({})) && noexcept(capture.try_read({})) && noexcept(capture.try_work()) &&
                          noexcept(playback.try_write({})) && noexcept(playback.try_read({})) &&
                          noexcept(playback.try_write_lost(0)) && noexcept(playback.try_get(0)),
                      "[RT] calls do not throw");
        const auto latency = static_cast<std::size_t>(*capture.try_get(MIMI_PROP_LATENCY_SAMPLES) +
                                                      *playback.try_get(MIMI_PROP_LATENCY_SAMPLES));
        CHECK(latency == 4 * 1920);
        std::array<std::uint32_t, 64> codes;
        std::vector<float> heard(10 * 1920), pcm(heard.size());
        std::copy(c.g.pcm, c.g.pcm + pcm.size(), pcm.begin());
        for (std::size_t at = 0; at < pcm.size(); at += 480) {
            CHECK(capture.try_write({pcm.data() + at, 480}) && capture.try_work());
            const std::size_t n = *capture.try_read(codes);
            CHECK(playback.try_write({codes.data(), n}) && playback.try_work());
            CHECK(playback.try_read({heard.data() + at, 480}));
        }
        const std::vector<float> expected = *model.try_decode(*model.try_encode(pcm, c.options()), c.options());
        for (std::size_t i = 0; i < heard.size(); i++)
            CHECK(heard[i] == (i < latency ? 0.0f : expected[i - latency]));
        CHECK(playback.try_write_lost(19 * c.g.codebooks).code() == mimi::status::buffer_too_small);
        CHECK(playback.try_write_lost(c.g.codebooks) && *playback.try_get(MIMI_PROP_LOST) == 1);
        CHECK(*playback.try_get(MIMI_PROP_DROPPED) == 19);
        CHECK(playback.try_reset() && capture.try_reset() && *playback.try_get(MIMI_PROP_FRAMES) == 0);
        capture = {};
        CHECK(!capture && capture.try_write({}).code() == mimi::status::null_pointer);
    }
    CHECK(model.try_new_playback(mimi::options().buffer_frames(65)).code() == mimi::status::invalid_argument);
}

} // namespace

int main(int argc, char **argv) {
    CHECK(argc == 3);
    CHECK(mimi::version_matches() && mimi::version_number() == MIMI_VERSION_NUMBER);
    const std::string tiny = std::string(argv[1]) + "/tiny";
    const golden_case c(tiny.c_str(), "speech");
    auto model = mimi::model::try_load(tiny);
    CHECK(model);
    one_shot(*model, c);
    streams(*model, c);
    live(*model, c);
    forks(*model, c);
    failures(*model, c);
    many(*model, c);
    latents(*model, c);
    auto pocket = mimi::model::try_load(std::string(argv[1]) + "/pocket-tiny");
    CHECK(pocket);
    latents_alone(*pocket);
    other_rate(*model, c);
    tokens(*model, c);
    threads(*model, c);
    other_ways_to_load(argv[2]);
#if MIMI_HPP_EXCEPTIONS
    exceptions(c, tiny.c_str());
#endif
    return 0;
}
