//! What is said of the whole, and the examples that end each help.

pub(super) const ABOUT: &str =
    "Mimi, the neural speech codec: audio to 12.5 frames of codes a second, and back";

pub(super) const DEMO_NOTE: &str = "\
The built-in model is a toy: it shows that everything works, but it blurs speech.
For real quality, download the published weights with `mimi fetch`, and name them with
--model kyutai/mimi.";

pub(super) const EXAMPLES: &str = "\
Examples:
  mimi roundtrip in.wav out.wav                          hear the codec
  mimi encode in.wav out.mtok                            audio to codes
  mimi decode out.mtok out.wav                           codes to audio
  mimi fetch                                             download the published weights
  mimi encode --model kyutai/mimi in.flac c.npy          use them

Audio is read from WAV, RF64, W64, AIFF, CAF, FLAC, MP3, AAC, M4A (AAC or ALAC), Ogg Vorbis and Ogg
Opus, at any sample rate from 1 to 768 kHz, its channels mixed to one, and written as WAV, FLAC, Ogg
Opus or raw samples. A file named - is standard input or output. The exit status is 0 if all went well, 1 if
something failed, 2 if the command line was wrong.";

pub(super) const ROUNDTRIP_EXAMPLES: &str = "\
Examples:
  mimi roundtrip in.wav out.wav
  mimi roundtrip --codebooks 1 in.flac out.wav
  ffmpeg -i in.mp4 -f wav - | mimi roundtrip - - | aplay";

pub(super) const ENCODE_EXAMPLES: &str = "\
Examples:
  mimi encode in.wav out.mtok
  mimi encode in.mp3 codes.npy
  mimi encode corpus/ tokens/                   every recording in a folder, on all cores
  arecord -f S16_LE -r 24000 -t raw | mimi encode --raw --live - - | ssh host 'mimi decode - - | aplay'";

pub(super) const DECODE_EXAMPLES: &str = "\
Examples:
  mimi decode in.mtok out.wav
  mimi decode --codebooks 4 --rate 48000 in.npy out.wav
  mimi decode tokens/ audio/
  mimi decode in.mtok out.flac
  mimi decode --raw --f32 --rate 24000 in.mtok - | sox -t raw -r 24000 -e float -b 32 -c 1 - out.ogg";

pub(super) const REDUCE_EXAMPLES: &str = "\
Examples:
  mimi reduce --codebooks 4 in.mtok out.mtok
  mimi reduce --codebooks 1 in.npy out.safetensors";

pub(super) const COMPARE_EXAMPLES: &str = "\
Examples:
  mimi compare in.wav                        a table, a line for each number of codebooks
  mimi compare in.wav --plot losses.png      and as a picture
  mimi compare in.wav out.wav                two recordings";

pub(super) const CONVERT_EXAMPLES: &str = "\
Examples:
  mimi convert kyutai/mimi mimi.safetensors                        one file, its config inside
  mimi convert --layout kyutai --precision bf16 kyutai/mimi out.safetensors
  mimi convert --half encoder kyutai/mimi encoder.safetensors      for those who make tokens alone
  mimi convert tokenizer-e351c8d8-checkpoint125.safetensors --layout transformers mimi/";

pub(super) const FETCH_EXAMPLES: &str = "\
Examples:
  mimi fetch
  mimi fetch && mimi roundtrip --model kyutai/mimi in.wav out.wav";

pub(super) const COMPLETIONS_EXAMPLE: &str = "\
Example:
  mimi completions bash > ~/.local/share/bash-completion/completions/mimi";
