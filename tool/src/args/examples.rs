//! What is said of the whole, and the examples that end each help.

pub(super) const ABOUT: &str =
    "Mimi, the neural speech codec: audio to 12.5 frames of codes a second, and back";

pub(super) const DEMO_NOTE: &str = "\
The built-in model is a toy: it shows that everything works, but it blurs speech. For real quality, \
download the published weights with `mimi fetch`, and name them with --model kyutai/mimi.";

pub(super) const EXAMPLES: &str = "\
Examples:
  # hear the codec
  mimi roundtrip in.wav out.wav
  # audio to codes, and back
  mimi encode in.wav out.mtok
  mimi decode out.mtok out.wav
  # download the published weights, and use them
  mimi fetch
  mimi encode --model kyutai/mimi in.flac c.npy";

pub(super) const NOTES: &str = "\
Audio is read from WAV, RF64, W64, AIFF, CAF, FLAC, MP3, AAC, M4A (AAC or ALAC), Ogg Vorbis and Ogg Opus, at any \
sample rate from 1 to 768 kHz, its channels mixed to one, and written as WAV, FLAC, Ogg Opus or raw samples. A file \
named - is standard input or output. The exit status is 0 if all went well, 1 if something failed, 2 if the command \
line was wrong.";

pub(super) const ROUNDTRIP_EXAMPLES: &str = "\
Examples:
  mimi roundtrip in.wav out.wav
  mimi roundtrip --codebooks 1 in.flac out.wav
  ffmpeg -i in.mp4 -f wav - | mimi roundtrip - - | aplay";

pub(super) const ENCODE_EXAMPLES: &str = "\
Examples:
  mimi encode in.wav out.mtok
  mimi encode in.mp3 codes.npy
  # what enters the quantizer
  mimi encode --latents in.wav latents.npy
  # every recording in a folder, on all cores
  mimi encode corpus/ tokens/ --report report.jsonl
  # speech to another machine, while it is spoken
  arecord -f S16_LE -r 24000 -t raw |
    mimi encode --raw --live - - |
    ssh host 'mimi decode - - | aplay'

Report: a line of JSON for each file, with its status (made, present, skipped or failed), its input, and \
where they are known its output, message and audio_seconds. Lines are written as files are done. The last \
line, of status summary, counts them; a report without it is of a run that did not end.";

pub(super) const DECODE_EXAMPLES: &str = "\
Examples:
  mimi decode in.mtok out.wav
  mimi decode --codebooks 4 --rate 48000 in.npy out.wav
  mimi decode tokens/ audio/
  mimi decode in.mtok out.flac
  # latents of Pocket TTS
  mimi decode --model kyutai/pocket-tts/languages/english latents.npy out.wav
  # as over a bad line: a tenth of the frames lost, three at a time
  mimi decode --loss 10 --burst 3 in.mtok out.wav
  # samples alone, at a rate that is known
  mimi decode --raw --f32 --rate 24000 in.mtok - |
    sox -t raw -r 24000 -e float -b 32 -c 1 - out.ogg";

pub(super) const REDUCE_EXAMPLES: &str = "\
Examples:
  mimi reduce --codebooks 4 in.mtok out.mtok
  mimi reduce --codebooks 1 in.npy out.safetensors
  mimi reduce --codebooks 4 tokens/ smaller/";

pub(super) const INFO_EXAMPLES: &str = "\
Examples:
  mimi info
  mimi info kyutai/mimi
  mimi info out.mtok in.wav
  mimi info tokens/";

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  # a table, a line for each number of codebooks
  mimi compare in.wav
  # and as a picture
  mimi compare in.wav --plot losses.png
  # two recordings
  mimi compare in.wav out.wav";

pub(super) const PLOT_EXAMPLES: &str = "\
Examples:
  mimi plot in.wav out.png
  mimi plot -n 1 in.wav out.svg";

pub(super) const BENCH_EXAMPLES: &str = "\
Examples:
  mimi bench --model model.safetensors
  mimi bench --json > bench.json
  # the slowest callback in ten minutes of live audio
  mimi bench --model model.safetensors --precision f32 --live --blocks 64 --live-seconds 600";

pub(super) const CONVERT_EXAMPLES: &str = "\
Examples:
  # one file, its config inside
  mimi convert kyutai/mimi mimi.safetensors
  # for moshi, in half the size
  mimi convert --layout kyutai --precision bf16 kyutai/mimi out.safetensors
  # out of another model
  mimi convert sesame/csm-1b mimi.safetensors
  # for those who make tokens alone
  mimi convert --half encoder kyutai/mimi encoder.safetensors
  # to be loaded faster, on CPUs with AVX2 or NEON
  mimi convert --packed=int8 --isa avx2 kyutai/mimi packed.safetensors
  # what moshi reads, for transformers
  mimi convert tokenizer-e351c8d8-checkpoint125.safetensors --layout transformers mimi/";

pub(super) const FETCH_EXAMPLES: &str = "\
Examples:
  mimi fetch
  mimi fetch && mimi roundtrip --model kyutai/mimi in.wav out.wav
  # of other models, what Mimi needs
  mimi fetch sesame/csm-1b
  mimi fetch Qwen/Qwen3-TTS-Tokenizer-12Hz
  mimi fetch kyutai/pocket-tts/languages/english";

pub(super) const COMPLETIONS_EXAMPLE: &str = "\
Examples:
  mimi completions bash > ~/.local/share/bash-completion/completions/mimi
  mimi completions fish > ~/.config/fish/completions/mimi.fish
  mimi completions zsh > ~/.zfunc/_mimi";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  mimi man encode | man -l -
  mimi man --all ~/.local/share/man/man1";
