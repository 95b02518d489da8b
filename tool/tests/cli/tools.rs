//! Looking at models, codes and sound; many files; the shell.

use super::*;

#[test]
fn info_tells_models_codes_and_audio_apart() {
    let folder = folder();
    let info = |args: &str| String::from_utf8(ok(&folder, args).stdout).unwrap();
    let demo = info("info");
    assert!(
        demo.contains("a toy, no codec to use")
            && demo.contains("mimi fetch")
            && demo.contains("900 in all")
            && demo.contains("512 values, 9 bits"),
        "{demo}"
    );
    assert!(info("info TINY").contains("64 values, 6 bits"));
    fs::copy(golden("tiny/model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    fs::copy(golden("tiny/config.json"), folder.path().join("config.json")).unwrap();
    assert_eq!(info("info model.safetensors"), info("info TINY"));
    assert_eq!(number(info("info SPEECH").as_bytes(), "samples"), SAMPLES as f64);
    for name in ["codes.mtok", "codes.npy", "codes.safetensors"] {
        ok(&folder, &format!("encode SPEECH {name}"));
        let codes = info(&format!("info {name}"));
        assert_eq!(number(codes.as_bytes(), "frames"), 42.0);
        assert_eq!(codes.contains("79610, 3.317 s"), name == "codes.mtok", "{codes}");
    }
    fs::write(folder.path().join("text"), "hello").unwrap();
    assert_eq!(mimi(&folder, "info text").status.code(), Some(1));
}

#[test]
fn comparing_prints_a_line_for_each_number_of_codebooks() {
    let folder = folder();
    let table = String::from_utf8(ok(&folder, "compare SPEECH").stdout).unwrap();
    let rows: Vec<Vec<f64>> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().map(|word| word.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
    assert_eq!(rows[7][1], 0.9);
    // the demo model's spectrum is rough, but its codebooks bring it nearer
    assert!(rows[7][3] < rows[0][3] - 1.0 && rows[7][3] < 7.0, "{table}");
    ok(&folder, "roundtrip SPEECH out.wav");
    let distance = mimi_fed(&folder, "compare SPEECH out.wav", &[]).stdout;
    assert!((number(&distance, "log-mel distance") - rows[7][3]).abs() < 0.2);
}

/// Width, height and number of different colours.
fn picture(path: &Path) -> (u32, u32, usize) {
    let mut reader = png::Decoder::new(fs::File::open(path).unwrap()).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (colours, _) = pixels.as_chunks::<3>();
    (info.width, info.height, colours.iter().collect::<std::collections::BTreeSet<_>>().len())
}

#[test]
fn plots_are_pictures_with_maps_curves_and_words() {
    let folder = folder();
    ok(&folder, "plot SPEECH out.svg");
    let svg = fs::read_to_string(folder.path().join("out.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    // three maps with their keys, and two curves
    assert_eq!(svg.matches("href=\"data:image/png;base64,").count(), 6);
    assert_eq!(svg.matches("<circle").count(), 2 * 8);
    for words in ["speech.wav", "8 codebooks of the built-in toy, 0.900 kbit/s", "frequency, kHz", "SI-SDR"] {
        assert!(svg.contains(words), "{words}");
    }
    ok(&folder, "plot -n 1 -m TINY SPEECH out.png");
    let (width, height, colours) = picture(&folder.path().join("out.png"));
    assert!((width, height) == (1200, 1200) && colours > 200, "{width} x {height}, {colours} colours");
    ok(&folder, "compare SPEECH --plot losses.png");
    let (width, height, colours) = picture(&folder.path().join("losses.png"));
    assert!((width, height) == (1200, 420) && colours > 10, "{width} x {height}, {colours} colours");
    wrong(&folder, "plot -q -n 9 SPEECH b.svg", "mimi: --codebooks is 9; this model has 1 to 8");
    wrong(&folder, "plot -q SPEECH b.jpg", "mimi: b.jpg: expected the extension .png or .svg");
    assert!(!folder.path().join("b.svg").exists());
}

#[test]
fn folders_are_encoded_and_decoded_in_parallel_and_what_is_there_is_left() {
    let folder = folder();
    fs::create_dir_all(folder.path().join("in/sub")).unwrap();
    for name in ["in/a.wav", "in/sub/b.wav", "in/c.wav"] {
        fs::copy(golden("speech.wav"), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("in/broken.wav"), "no audio").unwrap();
    ok(&folder, "encode SPEECH one.mtok");
    let read = |name: &str| fs::read(folder.path().join(name));
    let output = mimi(&folder, "encode --jobs 2 in out");
    assert_eq!(output.status.code(), Some(1));
    let lines = stderr(&output);
    assert!(
        lines.contains("mimi: in/broken.wav: not an audio file") && lines.contains("1 of 4 files failed")
    );
    assert!(lines.contains("files made: 3") && !lines.contains('\r') && !lines.contains('\x1b'), "{lines}");
    for name in ["out/a.mtok", "out/sub/b.mtok", "out/c.mtok"] {
        assert_eq!(read(name).unwrap(), read("one.mtok").unwrap());
    }
    assert!(read("out/broken.mtok").is_err());

    fs::remove_file(folder.path().join("in/broken.wav")).unwrap();
    fs::remove_file(folder.path().join("out/c.mtok")).unwrap();
    assert!(stderr(&ok(&folder, "encode in out")).contains("files made: 1, already there: 2"));
    fs::write(folder.path().join("out/a.mtok"), "mine").unwrap();
    fs::remove_file(folder.path().join("out/.mimi-made.jsonl")).unwrap();
    let output = mimi(&folder, "encode in out");
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("mimi: out/a.mtok: not a file of codes"), "{}", stderr(&output));
    assert_eq!(read("out/a.mtok").unwrap(), b"mine");
    ok(&folder, "encode --overwrite -q in out");
    assert_eq!(read("out/a.mtok").unwrap(), read("one.mtok").unwrap());

    ok(&folder, "decode one.mtok one.wav");
    ok(&folder, "decode out sound");
    assert_eq!(read("sound/sub/b.wav").unwrap(), read("one.wav").unwrap());
}

#[test]
fn completions_and_manual_pages_name_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = String::from_utf8(ok(&folder, &format!("completions {shell}")).stdout).unwrap();
        assert!(script.contains("roundtrip") && script.contains("codebooks"), "{shell}");
    }
    let man = String::from_utf8(ok(&folder, "man").stdout).unwrap();
    assert!(man.contains(".TH mimi 1") && man.contains("roundtrip"));
    assert!(String::from_utf8(ok(&folder, "man encode").stdout).unwrap().contains("\\-\\-codebooks"));
    wrong(&folder, "man dance", "mimi: there is no command dance; mimi --help lists them");
}

#[test]
fn wrong_usage_is_status_2_and_help_and_version_are_status_0() {
    let folder = folder();
    for args in
        ["", "roundtrip", "encode a.wav", "dance", "encode --codebooks x a b", "encode --rate 8000 a b"]
    {
        let output = mimi(&folder, args);
        assert_eq!(output.status.code(), Some(2), "mimi {args}");
        assert!(stderr(&output).contains("--help"), "mimi {args}");
    }
    let help = String::from_utf8(ok(&folder, "--help").stdout).unwrap();
    assert!(
        help.contains("toy") && help.contains("Examples:") && help.contains("mimi roundtrip in.wav out.wav")
    );
    let version = String::from_utf8(ok(&folder, "--version").stdout).unwrap();
    assert_eq!(version.trim(), concat!("mimi ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn bench_measures_every_precision() {
    let folder = folder();
    let table = String::from_utf8(ok(&folder, "bench -q --seconds 1 --streams 2").stdout).unwrap();
    for name in
        ["multiply-adds a second", "f32", "bf16", "int16", "int8", "encode", "decode", "seanet", "of limit"]
    {
        assert!(table.contains(name), "{table}");
    }
    assert!(table.contains("\nConversations, encoded and decoded; cores at once: "), "{table}");
    let json = ok(&folder, "bench -q --seconds 1 --streams 1,3 --cores 3 --json -n 3").stdout;
    let report: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["machine"]["cores"], 3);
    assert!(report["machine"]["multiply_adds_per_second"].as_f64().unwrap() > 0.0);
    let precisions = report["precisions"].as_array().unwrap();
    let bytes: Vec<_> = precisions.iter().map(|p| p["loads"][0]["weight_bytes"].as_u64().unwrap()).collect();
    let [f32, bf16, int16, int8] = bytes[..] else { panic!("{bytes:?}") };
    assert!(f32 > bf16.max(int16) && bf16.min(int16) > int8, "{bytes:?}");
    for precision in precisions {
        for (load, parts) in ["both", "encoder", "decoder"].iter().enumerate() {
            let bytes = |load: usize| precision["loads"][load]["weight_bytes"].as_u64().unwrap();
            assert_eq!(precision["loads"][load]["parts"], *parts);
            assert!(precision["loads"][load]["seconds"].as_f64().unwrap() > 0.0);
            assert!(load == 0 || bytes(load) < bytes(0));
        }
        let streams = precision["streams"].as_array().unwrap();
        assert_eq!((streams.len(), &streams[1]["streams"]), (2, &serde_json::json!(3)));
        let encode = ["min", "p50", "p99", "max"].map(|name| streams[0]["encode"][name].as_f64().unwrap());
        assert!(encode[0] > 0.0 && encode.is_sorted(), "{encode:?}");
        assert!(
            streams.iter().all(|streams| streams["conversations"].as_f64().unwrap() > 0.0),
            "{streams:?}"
        );
        assert_eq!(precision["stages"].as_array().unwrap().len(), 4);
        for stage in ["seanet", "transformer", "resampling", "quantizer"] {
            let stage = &precision["stages"][0]["stages"][stage];
            assert!(stage["milliseconds_per_frame"].as_f64().unwrap() > 0.0);
            assert!(stage["limit"].as_f64().unwrap() > 0.0);
        }
    }
    wrong(&folder, "bench -q -n 9", "mimi: --codebooks is 9; this model has 1 to 8");
}

#[test]
fn bench_measures_live_audio_alone() {
    let folder = folder();
    let short = "bench -q --live --live-seconds 1 --blocks 64,441 --precision int8";
    let table = String::from_utf8(ok(&folder, short).stdout).unwrap();
    assert!(table.starts_with("Callbacks of live audio") && !table.contains("multiply-adds"), "{table}");
    let rows: Vec<Vec<&str>> =
        table.lines().skip(2).map(|line| line.split_whitespace().take(3).collect()).collect();
    let expected = [["spread", "64"], ["spread", "441"], ["other", "64"], ["other", "441"]];
    assert_eq!(rows, expected.map(|[work, block]| vec!["int8", work, block]), "{table}");
    let report = ok(&folder, &format!("{short} --json")).stdout;
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let precisions = report["precisions"].as_array().unwrap();
    assert_eq!((precisions.len(), &precisions[0]["precision"]), (1, &serde_json::json!("int8")));
    let live = precisions[0]["live"].as_array().unwrap();
    assert_eq!(live.len(), 4);
    for (live, [work, block]) in live.iter().zip(expected) {
        assert_eq!((live["work"].as_str(), live["block"].to_string().as_str()), (Some(work), block));
        let [average, worst, slowest, deadline] = ["average", "worst", "slowest", "deadline"]
            .map(|name| live[&format!("{name}_microseconds")].as_f64().unwrap());
        assert!(0.0 < average && average <= slowest && worst <= slowest, "{live}");
        assert!((deadline - live["block"].as_f64().unwrap() / 0.048).abs() < 1e-6, "{live}");
    }
}
