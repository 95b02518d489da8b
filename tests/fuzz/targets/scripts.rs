//! A few scripts without a fuzzer, for Miri: each kind of call at least once, then some drawn at random.

use arbitrary::{Arbitrary, Unstructured};
use libmimi_fuzz::script::{Call, Room, run};

#[test]
fn each_kind_of_call() {
    use Call::*;
    use Room::{Enough, None as Nothing, TooLittle};
    let calls = [
        SetOption { key: 3, value: 20 },
        SetOption { key: 6, value: 1 },
        SetOption { key: 7, value: -1 },
        NewEncoder(0),
        NewDecoder(0),
        LoadByReader { stop_after: 3 },
        Load { damage: Some((200, 0)) },
        Load { damage: None },
        Encode { stream: 0, samples: 21, room: TooLittle(0) },
        Encode { stream: 0, samples: 21, room: Enough },
        CloneEncoder(0),
        EncodeMany { first: 1, streams: 1, twice: true },
        EncodeMany { first: 0, streams: 1, twice: false },
        Encode { stream: 1, samples: 9, room: Nothing },
        FlushEncoder(0, TooLittle(2)),
        FlushEncoder(0, Enough),
        ResetEncoder(1),
        Decode { stream: 0, frames: 16, room: Enough, wrong_code: false },
        Decode { stream: 0, frames: 8, room: Enough, wrong_code: true },
        CloneDecoder(0),
        DecodeMany { first: 0, streams: 1 },
        FlushDecoder(0, Nothing),
        ResetDecoder(1),
        Get { stream: 0, key: 6 },
        FreeModel(0),
        EncodeWhole { samples: 9, room: Enough },
        DecodeWhole { codes: 6, room: TooLittle(0) },
        DecodeWhole { codes: 7, room: Enough },
        Pack { codebooks: 3, code_bits: 11, codes: 6, room: Enough },
        Unpack { codebooks: 3, code_bits: 0, bytes: 6, room: Enough },
        Header { codebooks: 2, samples: 7, cut: 3 },
        WrongHandles,
        FreeEncoder(0),
        FreeDecoder(0),
    ];
    run(1, &calls);
}

/// As many as MIMI_SCRIPTS says, or one; others with another MIMI_SEED.
#[test]
fn scripts_drawn_at_random() {
    let number = |name, or| std::env::var(name).map_or(or, |number| number.parse::<u64>().unwrap());
    let first = number("MIMI_SEED", 0) + 1;
    for seed in first..first + number("MIMI_SCRIPTS", 1) {
        let noise = libmimi_fuzz::samples(seed, 400).into_iter();
        let bytes: Vec<u8> = noise.map(|x| (x.to_bits() >> 3) as u8).collect();
        let mut drawn = Unstructured::new(&bytes);
        let calls: Vec<_> = (0..12).map(|_| Call::arbitrary(&mut drawn).unwrap()).collect();
        assert!(!drawn.is_empty(), "the last calls would all be the same");
        run(seed, &calls);
    }
}
