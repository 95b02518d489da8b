//! The files that corpora are made of, as ffmpeg and sox make them.
#![cfg(target_os = "linux")]

use super::{
    person::{shell, shell_ok},
    *,
};

/// A file, what makes it of `SPEECH`, its rate and samples, and how near its sound is to the original's in dB.
const FORMATS: &[(&str, &str, u32, usize, f64)] = &[
    ("wav.wav", "ffmpeg -v error -i SPEECH -c:a pcm_s24le", 24_000, SAMPLES, 80.0),
    ("large.rf64", "ffmpeg -v error -i SPEECH -rf64 always -f wav", 24_000, SAMPLES, 80.0),
    ("sony.w64", "sox SPEECH", 24_000, SAMPLES, 80.0),
    ("aiff.aiff", "ffmpeg -v error -i SPEECH", 24_000, SAMPLES, 80.0),
    ("caf.caf", "ffmpeg -v error -i SPEECH -c:a pcm_s16be", 24_000, SAMPLES, 80.0),
    ("alac-in-caf.caf", "ffmpeg -v error -i SPEECH -c:a alac", 24_000, SAMPLES, 80.0),
    ("flac.flac", "ffmpeg -v error -i SPEECH -c:a flac", 24_000, SAMPLES, 80.0),
    ("alac.m4a", "ffmpeg -v error -i SPEECH -c:a alac", 24_000, SAMPLES, 80.0),
    ("aac.m4a", "ffmpeg -v error -i SPEECH -c:a aac -b:a 128k", 24_000, SAMPLES, 20.0),
    ("front.mp4", "ffmpeg -v error -i SPEECH -c:a aac -b:a 128k -movflags +faststart", 24_000, SAMPLES, 20.0),
    (
        "fragments.mp4",
        "ffmpeg -v error -i SPEECH -c:a alac -movflags +frag_keyframe+empty_moov -frag_duration 300000",
        24_000,
        SAMPLES,
        80.0,
    ),
    ("opus-in-mp4.mp4", "ffmpeg -v error -i SPEECH -c:a libopus -b:a 96k", 48_000, 2 * SAMPLES, 10.0),
    ("opus.opus", "ffmpeg -v error -i SPEECH -c:a libopus -b:a 96k", 48_000, 2 * SAMPLES, 10.0),
    ("vorbis.ogg", "ffmpeg -v error -i SPEECH -c:a libvorbis -q:a 8", 24_000, SAMPLES, 10.0),
    ("mp3.mp3", "ffmpeg -v error -i SPEECH -c:a libmp3lame -b:a 128k", 24_000, SAMPLES, 10.0),
    // Frames alone do not tell where in the first and in the last of them the sound begins and ends.
    ("adts.aac", "ffmpeg -v error -i SPEECH -c:a aac -b:a 128k", 24_000, 79 * 1024, -99.0),
];

#[test]
fn a_folder_of_every_format_becomes_tokens_and_comes_back_at_its_length() {
    let folder = folder();
    fs::create_dir(folder.path().join("in")).unwrap();
    for (name, made_by, ..) in FORMATS {
        shell_ok(&folder, &format!("{made_by} in/{name}"));
    }
    ok(&folder, "encode in tokens");
    ok(&folder, "decode tokens out");
    for (name, _, rate, samples, nearness) in FORMATS {
        let (stem, _) = name.split_once('.').unwrap();
        let (spec, back) = wav(&folder, &format!("out/{stem}.wav"));
        assert_eq!((spec.sample_rate, back.len()), (*rate, *samples), "{name}");
        let compared = ok(&folder, &format!("compare SPEECH in/{name}")).stdout;
        assert!(number(&compared, "SI-SDR") > *nearness, "{name}: {}", String::from_utf8_lossy(&compared));
    }
    // through a pipe, even if what describes the file stands at its end
    let m4a = fs::read(folder.path().join("in/aac.m4a")).unwrap();
    let piped = mimi_fed(&folder, "encode -q - -", &m4a);
    assert!(piped.status.success(), "{}", stderr(&piped));
    assert_eq!(piped.stdout, fs::read(folder.path().join("tokens/aac.mtok")).unwrap());
}

/// What `mimi info` says of a recording: rate, channels, samples.
fn info(folder: &TempDir, name: &str) -> (f64, f64, f64) {
    let text = ok(folder, &format!("info {name}")).stdout;
    let line = String::from_utf8(text.clone()).unwrap();
    let channels = line.lines().next().unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    (number(&text, "audio"), channels, number(&text, "samples"))
}

#[test]
fn one_to_eight_channels_are_read() {
    let folder = folder();
    shell_ok(&folder, "sox SPEECH -r 48000 mono.wav trim 0 9600s");
    for channels in 1..=8 {
        let mix = vec!["1"; channels].join(" ");
        shell_ok(
            &folder,
            &format!("sox mono.wav {channels}.wav remix {mix} && sox {channels}.wav {channels}.w64"),
        );
        for (name, options) in [
            ("flac", "-c:a flac"),
            ("ogg", "-c:a libvorbis"),
            ("opus", "-c:a libopus -b:a 256k"),
            ("caf", "-c:a pcm_s24le"),
            ("aiff", "-c:a pcm_s16be"),
            ("m4a", "-c:a alac"),
            ("rf64", "-rf64 always -f wav"),
        ] {
            // of the layouts that ffmpeg supposes, Opus has not all and ALAC few
            let is_made = match name {
                "opus" => [1, 2, 5, 6, 8].contains(&channels),
                "m4a" => channels <= 2,
                _ => true,
            };
            if is_made {
                shell_ok(&folder, &format!("ffmpeg -v error -i {channels}.wav {options} {channels}.{name}"));
                assert_eq!(
                    info(&folder, &format!("{channels}.{name}")),
                    (48e3, channels as f64, 19_200.0),
                    "{name}"
                );
            }
        }
        for name in ["wav", "w64"] {
            assert_eq!(
                info(&folder, &format!("{channels}.{name}")),
                (48e3, channels as f64, 19_200.0),
                "{name}"
            );
        }
    }
}

#[test]
fn every_rate_comes_back_at_its_rate_and_length() {
    let folder = folder();
    for (rate, samples) in [
        (1_000, 777),
        (7_350, 4_001),
        (11_111, 9_000),
        (22_050, 1),
        (44_100, 9_001),
        (192_000, 30_011),
        (768_000, 99_999),
    ] {
        shell_ok(&folder, &format!("sox -D -r {rate} -n -b 16 in.wav synth {samples}s sine 300"));
        for name in ["back.wav", "back.flac"] {
            if name == "back.flac" && rate > 655_350 {
                assert!(
                    stderr(&mimi(&folder, "roundtrip -q in.wav back.flac"))
                        .contains("FLAC has rates up to 655350 Hz")
                );
                continue;
            }
            ok(&folder, &format!("roundtrip -q in.wav {name}"));
            assert_eq!(info(&folder, name), (f64::from(rate), 1.0, f64::from(samples)), "{name}");
        }
        ok(&folder, "encode -q in.wav a.mtok");
        ok(&folder, "decode -q a.mtok back.wav");
        assert_eq!(info(&folder, "back.wav"), (f64::from(rate), 1.0, f64::from(samples)));
    }
}

/// The `fmt ` chunk of one channel of 16 bits.
fn plain_format() -> Vec<u8> {
    let fields = [
        &1u16.to_le_bytes()[..],
        &[1, 0],
        &24_000u32.to_le_bytes(),
        &48_000u32.to_le_bytes(),
        &[2, 0, 16, 0],
    ];
    fields.concat()
}

#[test]
fn lengths_above_four_gigabytes_are_understood() {
    const BYTES: u64 = 5 << 30;
    let folder = folder();
    let write = |name: &str, parts: &[&[u8]]| fs::write(folder.path().join(name), parts.concat()).unwrap();
    let (bytes, samples) = (BYTES.to_le_bytes(), vec![0; 2_000]);
    let rf64: [&[u8]; 8] = [
        b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0",
        &bytes,
        &bytes,
        &[0; 12],
        b"fmt \x10\0\0\0",
        &plain_format(),
        b"data\xff\xff\xff\xff",
        &samples,
    ];
    write("a.rf64", &rf64);
    let guid: &[u8] = b"\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a";
    let w64: [&[u8]; 15] = [
        b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0",
        &bytes,
        b"wave",
        guid,
        b"junk",
        guid,
        &29u64.to_le_bytes(),
        b"12345\0\0\0",
        b"fmt ",
        guid,
        &40u64.to_le_bytes(),
        &plain_format(),
        b"data",
        guid,
        &[&(BYTES + 24).to_le_bytes()[..], &samples].concat(),
    ];
    write("a.w64", &w64);
    for name in ["a.rf64", "a.w64"] {
        let output = mimi(&folder, &format!("encode -q {name} out.mtok"));
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("mimi: {name}: cut off after 1000 of 2684354560 samples");
        assert!(stderr(&output).starts_with(&expected), "{}", stderr(&output));
    }
}

#[test]
fn what_cannot_be_read_is_named_by_its_codec() {
    let folder = folder();
    let codecs = "PCM, ADPCM, FLAC, ALAC, MP3, AAC-LC, Vorbis or Opus";
    for (name, made_by, codec) in [
        ("a.m4a", "ffmpeg -v error -i SPEECH -c:a ac3", "AC-3"),
        ("a.ac3", "ffmpeg -v error -i SPEECH", "AC-3"),
        ("a.eac3.mp4", "ffmpeg -v error -i SPEECH -c:a eac3", "E-AC-3"),
        ("a.wma", "ffmpeg -v error -i SPEECH", "Windows Media"),
        ("a.wv", "ffmpeg -v error -i SPEECH", "WavPack"),
        ("a.spx.ogg", "ffmpeg -v error -i SPEECH -ar 16000 -c:a libspeex", "Speex"),
        ("a.gsm.wav", "sox SPEECH -r 8000 -e gsm-full-rate", "GSM 6.10"),
        (
            "six.m4a",
            "sox SPEECH -t wav - remix 1 1 1 1 1 1 | ffmpeg -v error -i - -c:a aac",
            "AAC-LC of 6 channels",
        ),
    ] {
        shell_ok(&folder, &format!("{made_by} {name}"));
        let expected = format!("mimi: {name}: its audio is {codec}, which cannot be read; expected {codecs}");
        fails(&folder, &format!("info {name}"), &expected);
    }
    // AAC-LC that claims to be HE-AAC: its type is the first five bits behind the tag of the decoder's configuration
    shell_ok(&folder, "ffmpeg -v error -i SPEECH -c:a aac he.m4a");
    let mut bytes = fs::read(folder.path().join("he.m4a")).unwrap();
    let esds = bytes.windows(4).position(|window| window == b"esds").unwrap();
    let at = esds + bytes[esds..].windows(4).position(|window| window == b"\x05\x80\x80\x80").unwrap() + 5;
    bytes[at] = bytes[at] & 7 | 5 << 3;
    fs::write(folder.path().join("he.m4a"), bytes).unwrap();
    let expected = format!("mimi: he.m4a: its audio is HE-AAC, which cannot be read; expected {codecs}");
    fails(&folder, "info he.m4a", &expected);
    shell_ok(&folder, "ffmpeg -v error -i SPEECH -c:a libopus a.webm");
    let kinds = "WAV, RF64, W64, AIFF, CAF, FLAC, MP3, AAC, M4A, Ogg Vorbis or Ogg Opus";
    fails(
        &folder,
        "info a.webm",
        &format!("mimi: a.webm: a Matroska or WebM file cannot be read; expected {kinds}"),
    );
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = folder();
    for (name, made_by) in [
        ("a.rf64", "ffmpeg -v error -i SPEECH -rf64 always -f wav"),
        ("a.w64", "sox SPEECH"),
        ("a.flac", "ffmpeg -v error -i SPEECH"),
        ("a.m4a", "ffmpeg -v error -i SPEECH -c:a aac -movflags +faststart"),
    ] {
        shell_ok(&folder, &format!("{made_by} {name}"));
        let bytes = fs::read(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
        let output = mimi(&folder, &format!("encode -q {name} out.mtok"));
        assert_eq!(output.status.code(), Some(1), "{name}");
        let message = stderr(&output);
        assert!(
            message.contains(": cut off after ") && message.contains(" of 79610 samples"),
            "{name}: {message}"
        );
    }
    // How many samples there are is told nowhere in a file of fragments.
    let fragments =
        "ffmpeg -v error -i SPEECH -c:a alac -movflags +frag_keyframe+empty_moov -frag_duration 300000";
    shell_ok(&folder, &format!("{fragments} c.mp4"));
    let bytes = fs::read(folder.path().join("c.mp4")).unwrap();
    for length in [1_000, bytes.len() / 3, bytes.len() - 1] {
        fs::write(folder.path().join("c.mp4"), &bytes[..length]).unwrap();
        let output = mimi(&folder, "encode -q c.mp4 out.mtok");
        assert!(stderr(&output).contains("c.mp4: cut off after "), "{length} bytes: {}", stderr(&output));
    }
    // What describes these stands at their ends.
    for (name, made_by, kind) in [
        ("a.caf", "ffmpeg -v error -i SPEECH -c:a pcm_s16le", "CAF"),
        ("b.m4a", "ffmpeg -v error -i SPEECH -c:a aac", "MP4"),
    ] {
        shell_ok(&folder, &format!("{made_by} {name}"));
        let bytes = fs::read(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
        let expected = format!(
            "mimi: {name}: a damaged {kind} file, or one that is cut off; nothing of it can be taken, even with --partial"
        );
        fails(&folder, &format!("info {name}"), &expected);
    }
}

#[test]
fn opus_of_every_kind_sounds_as_its_own_decoder_has_it() {
    let folder = folder();
    shell_ok(&folder, "sox -M -v 0.5 SPEECH -v 0.3 SPEECH -r 48000 two.wav");
    let packets =
        ["20 -application voip", "24 -frame_duration 60", "40 -vbr off", "64 -frame_duration 2.5", "128"];
    for options in packets {
        let made =
            format!("ffmpeg -v error -y -i two.wav -c:a libopus -b:a {}", options.replacen(' ', "k ", 1));
        let made = if options.contains(' ') { made } else { made + "k" };
        shell_ok(
            &folder,
            &format!("{made} a.opus && ffmpeg -v error -y -c:a libopus -i a.opus -c:a pcm_f32le a.wav"),
        );
        let compared = ok(&folder, "compare a.wav a.opus").stdout;
        assert!(number(&compared, "SI-SDR") > 60.0, "{options}: {}", String::from_utf8_lossy(&compared));
    }
}

#[test]
fn flac_and_opus_are_written_and_others_understand_them() {
    let folder = folder();
    ok(&folder, "encode SPEECH a.mtok");
    for line in
        ["decode a.mtok a.wav", "decode a.mtok a.flac", "decode a.mtok a.opus", "roundtrip SPEECH b.flac"]
    {
        ok(&folder, line);
    }
    for name in ["a.flac", "b.flac"] {
        shell_ok(&folder, &format!("ffmpeg -v error -y -i {name} back.wav"));
        assert_eq!(wav(&folder, "back.wav").1, wav(&folder, "a.wav").1, "{name}");
    }
    shell_ok(&folder, "ffmpeg -v error -y -c:a libopus -i a.opus -ar 24000 back.wav");
    let (back, original) = (wav(&folder, "back.wav").1, wav(&folder, "a.wav").1);
    assert_eq!(back.len(), original.len());
    assert!(similarity(&back, &original) > 5.0, "{}", similarity(&back, &original));
    assert_eq!(info(&folder, "a.opus"), (48e3, 1.0, 2.0 * SAMPLES as f64));
    // at a rate that Opus does not have
    ok(&folder, "decode --rate 44100 a.mtok c.opus");
    assert_eq!(info(&folder, "c.opus"), (48e3, 1.0, 2.0 * SAMPLES as f64));
    // a folder of them
    fs::create_dir(folder.path().join("tokens")).unwrap();
    fs::copy(folder.path().join("a.mtok"), folder.path().join("tokens/a.mtok")).unwrap();
    ok(&folder, "decode --format flac tokens out");
    assert_eq!(
        fs::read(folder.path().join("out/a.flac")).unwrap(),
        fs::read(folder.path().join("a.flac")).unwrap()
    );
    // to a pipe
    shell_ok(&folder, "mimi decode -q --format opus a.mtok - | ffmpeg -v error -i - piped.wav");
    assert_eq!(wav(&folder, "piped.wav").1.len(), 2 * SAMPLES);
    assert!(!shell(&folder, "mimi decode -q --format flac a.mtok - > a").status.success());
    assert!(!mimi(&folder, "decode -q --f32 a.mtok d.flac").status.success());
    assert!(!folder.path().join("d.flac").exists());
}

#[test]
fn a_file_that_is_cut_off_is_taken_as_far_as_it_goes_on_request() {
    let folder = folder();
    for (name, made_by) in [
        ("a.wav", "sox SPEECH"),
        ("a.rf64", "ffmpeg -v error -i SPEECH -rf64 always -f wav"),
        ("a.w64", "sox SPEECH"),
        ("a.flac", "ffmpeg -v error -i SPEECH"),
    ] {
        shell_ok(&folder, &format!("{made_by} {name}"));
        let bytes = fs::read(folder.path().join(name)).unwrap();
        fs::write(folder.path().join(name), &bytes[..bytes.len() * 2 / 3]).unwrap();
        assert_eq!(mimi(&folder, &format!("encode -q {name} a.mtok")).status.code(), Some(1), "{name}");
        let output = ok(&folder, &format!("encode -q --partial {name} a.mtok"));
        let message = stderr(&output);
        assert!(message.contains(&format!("warning: {name}: cut off after ")), "{name}: {message}");
        ok(&folder, "decode -q a.mtok a.raw");
        let samples = fs::read(folder.path().join("a.raw")).unwrap().len() / 2;
        assert!((SAMPLES / 2..SAMPLES * 3 / 4).contains(&samples), "{name}: {samples}");
    }
}

#[test]
fn a_reader_that_has_enough_ends_the_run_quietly() {
    let folder = folder();
    ok(&folder, "encode SPEECH a.mtok");
    for format in ["wav", "raw", "opus"] {
        let line = format!("mimi decode -q --format {format} a.mtok - | head -c 10 | wc -c");
        let output = shell(&folder, &line);
        assert_eq!((stderr(&output), output.stdout), (String::new(), b"10\n".to_vec()), "{format}");
    }
}
