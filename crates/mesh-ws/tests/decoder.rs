//! What the decoder promises, one promise a test.

use mesh_ws::{
    Decoder, Event, Limits, Opcode, Role, Violation, append_frame, append_masked, append_masked_close,
};

const LIMITS: Limits = Limits { message_bytes_max: 256 * 1024, fragments_max: 8 };
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Frames of a client, `true` for the last of a message.
fn masked(frames: &[(Opcode, bool, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    for (opcode, fin, payload) in frames {
        append_masked(&mut out, *opcode, *fin, MASK, payload);
    }
    out
}

fn header_that_claims(len: u64) -> Vec<u8> {
    [&[0x81, 0xff], len.to_be_bytes().as_slice(), &MASK].concat()
}

/// Feed it, and expect these events and no more.
#[track_caller]
fn hears(decoder: &mut Decoder, mut input: Vec<u8>, events: &[Event<'_>]) {
    let mut frames = decoder.feed(&mut input, &LIMITS);
    for event in events {
        assert_eq!(frames.next(), Ok(Some(*event)));
    }
    assert_eq!(frames.next(), Ok(None));
}

#[track_caller]
fn refuses(mut input: Vec<u8>, code: u16) -> Violation {
    let mut decoder = Decoder::new(Role::Server);
    let mut frames = decoder.feed(&mut input, &LIMITS);
    let violation = loop {
        match frames.next() {
            Ok(event) => assert!(event.is_some(), "it is accepted"),
            Err(violation) => break violation,
        }
    };
    assert_eq!(violation.code, code, "{violation}");
    assert_eq!(frames.next(), Ok(None), "a violation is told once");
    violation
}

#[test]
fn an_idle_decoder_is_small_and_owns_nothing() {
    assert!(size_of::<Decoder>() <= 16);
    let mut decoder = Decoder::new(Role::Server);
    assert_eq!(decoder.heap_bytes(), 0);
    let stream = masked(&[
        (Opcode::Text, false, b"in "),
        (Opcode::Ping, true, b"?"),
        (Opcode::Continuation, true, b"parts"),
    ]);
    let mut heard = 0;
    for byte in stream {
        let mut byte = [byte];
        let mut frames = decoder.feed(&mut byte, &LIMITS);
        while frames.next().expect("a good stream").is_some() {
            heard += 1;
        }
    }
    assert_eq!((heard, decoder.heap_bytes(), decoder.is_partial()), (2, 0, false));
}

#[test]
fn a_message_that_is_complete_leaves_nothing_behind_wherever_it_was_cut() {
    let stream = masked(&[(Opcode::Binary, true, &[7; 130])]);
    for cut in 0..=stream.len() {
        let (now, later) = stream.split_at(cut);
        let mut decoder = Decoder::new(Role::Server);
        drop(decoder.feed(&mut now.to_vec(), &LIMITS));
        drop(decoder.feed(&mut later.to_vec(), &LIMITS));
        assert_eq!(decoder.heap_bytes(), 0, "cut at {cut}");
    }
}

#[test]
fn a_frame_that_is_there_whole_is_handed_out_where_it_lies() {
    let mut input = masked(&[(Opcode::Text, true, b"one"), (Opcode::Binary, true, b"two")]);
    let place = input.as_ptr_range();
    let mut decoder = Decoder::new(Role::Server);
    let mut frames = decoder.feed(&mut input, &LIMITS);
    while let Some(event) = frames.next().expect("a good stream") {
        let bytes = match event {
            Event::Text(text) => text.as_bytes(),
            Event::Binary(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        assert!(place.contains(&bytes.as_ptr()));
    }
    drop(frames);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn a_header_that_claims_a_lot_takes_no_memory_for_it() {
    let limits = Limits { message_bytes_max: 1 << 30, ..LIMITS };
    let mut decoder = Decoder::new(Role::Server);
    assert_eq!(decoder.feed(&mut header_that_claims(1 << 30), &limits).next(), Ok(None));
    assert!(decoder.heap_bytes() < 400, "{}", decoder.heap_bytes());
    assert_eq!(decoder.feed(&mut MASK.repeat(250), &limits).next(), Ok(None));
    assert!(decoder.heap_bytes() < 1_400, "{}", decoder.heap_bytes());
}

#[test]
fn a_length_over_the_limit_is_refused_before_its_mask_and_payload_come() {
    let mut decoder = Decoder::new(Role::Server);
    let mut header = header_that_claims(LIMITS.message_bytes_max as u64 + 1);
    header.truncate(10);
    assert_eq!(decoder.feed(&mut header, &LIMITS).next().map_err(|violation| violation.code), Err(1009));
    assert_eq!(decoder.heap_bytes(), 0);

    let mut decoder = Decoder::new(Role::Server);
    hears(&mut decoder, header_that_claims(LIMITS.message_bytes_max as u64), &[]);
}

#[test]
fn fragments_count_together_against_the_limit() {
    let most = vec![b'a'; LIMITS.message_bytes_max - 1];
    let whole = vec![b'a'; LIMITS.message_bytes_max];
    let text = std::str::from_utf8(&whole).expect("ascii");
    let fits = masked(&[(Opcode::Text, false, &most), (Opcode::Continuation, true, b"a")]);
    hears(&mut Decoder::new(Role::Server), fits, &[Event::Text(text)]);
    refuses(masked(&[(Opcode::Text, false, &most), (Opcode::Continuation, true, b"aa")]), 1009);
}

#[test]
fn a_message_of_the_largest_size_may_come_byte_by_byte() {
    let text = "é".repeat(LIMITS.message_bytes_max / 2);
    let stream = masked(&[(Opcode::Text, true, text.as_bytes())]);
    let mut decoder = Decoder::new(Role::Server);
    let mut heard = false;
    for (at, byte) in stream.into_iter().enumerate() {
        let mut byte = [byte];
        if let Some(event) = decoder.feed(&mut byte, &LIMITS).next().expect("a good stream") {
            assert_eq!(event, Event::Text(&text));
            heard = true;
        }
        assert!(decoder.heap_bytes() <= 400 + 2 * at);
    }
    assert!(heard);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn empty_fragments_are_counted() {
    let mut frames = vec![(Opcode::Text, false, b"".as_slice())];
    frames.extend([(Opcode::Continuation, false, b"".as_slice()); 6]);
    let last = [(Opcode::Continuation, true, b"".as_slice())];
    hears(&mut Decoder::new(Role::Server), masked(&[&frames, last.as_slice()].concat()), &[Event::Text("")]);
    frames.push((Opcode::Continuation, false, b""));
    let violation = refuses(masked(&[&frames, last.as_slice()].concat()), 1009);
    assert_eq!(violation.reason, "too many fragments");
}

#[test]
fn control_frames_come_between_fragments() {
    let stream = masked(&[
        (Opcode::Binary, false, b"a"),
        (Opcode::Ping, true, b"1"),
        (Opcode::Continuation, false, b"b"),
        (Opcode::Pong, true, b""),
        (Opcode::Continuation, true, b"c"),
    ]);
    let events = [Event::Ping(b"1"), Event::Pong(b""), Event::Binary(b"abc")];
    hears(&mut Decoder::new(Role::Server), stream, &events);
}

#[test]
fn bad_utf8_is_refused_before_its_frame_is_over() {
    // The header says 1000 bytes; the third of them is bad.
    let mut decoder = Decoder::new(Role::Server);
    let mut stream = masked(&[(Opcode::Text, true, &[b"ok\xff".as_slice(), &[b'a'; 997]].concat())]);
    let end = 8 + 3;
    assert_eq!(decoder.feed(&mut stream[..end - 1], &LIMITS).next(), Ok(None));
    assert_eq!(
        decoder.feed(&mut stream[end - 1..end], &LIMITS).next().map_err(|violation| violation.code),
        Err(1007)
    );
}

#[test]
fn a_text_that_ends_within_a_character_is_refused() {
    refuses(masked(&[(Opcode::Text, true, b"\xce")]), 1007);
    refuses(masked(&[(Opcode::Text, false, b"\xce"), (Opcode::Continuation, true, b"")]), 1007);
    let split = masked(&[(Opcode::Text, false, b"\xce"), (Opcode::Continuation, true, b"\xba")]);
    hears(&mut Decoder::new(Role::Server), split, &[Event::Text("κ")]);
}

#[test]
fn nothing_is_heard_after_a_close() {
    let mut stream = Vec::new();
    append_masked_close(&mut stream, MASK, 1000, "bye");
    append_masked(&mut stream, Opcode::Text, true, MASK, b"and another thing");
    let mut decoder = Decoder::new(Role::Server);
    hears(&mut decoder, stream, &[Event::Close { code: Some(1000), reason: "bye" }]);
    assert!(decoder.is_finished());
    hears(&mut decoder, masked(&[(Opcode::Ping, true, b"")]), &[]);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn a_close_in_the_middle_of_a_message_lets_the_message_go() {
    let stream = masked(&[(Opcode::Text, false, b"once upon"), (Opcode::Close, true, b"")]);
    let mut decoder = Decoder::new(Role::Server);
    hears(&mut decoder, stream, &[Event::Close { code: None, reason: "" }]);
    assert_eq!(decoder.heap_bytes(), 0);
}

#[test]
fn a_reader_that_stops_early_stays_in_step() {
    let stream =
        masked(&[(Opcode::Text, true, b"one"), (Opcode::Text, true, b"two"), (Opcode::Text, true, b"three")]);
    let (now, later) = stream.split_at(stream.len() - 4);
    let mut decoder = Decoder::new(Role::Server);
    assert_eq!(decoder.feed(&mut now.to_vec(), &LIMITS).next(), Ok(Some(Event::Text("one"))));
    hears(&mut decoder, later.to_vec(), &[Event::Text("three")]);
}

#[test]
fn a_reader_that_stops_early_learns_that_the_peer_closed() {
    let stream = masked(&[(Opcode::Text, true, b"one"), (Opcode::Close, true, b"")]);
    let mut decoder = Decoder::new(Role::Server);
    drop(decoder.feed(&mut stream.clone(), &LIMITS));
    assert!(decoder.is_finished());
}

#[test]
fn the_limits_of_a_later_read_hold_for_its_headers() {
    let small = Limits { message_bytes_max: 10, ..LIMITS };
    let mut decoder = Decoder::new(Role::Server);
    let mut first = masked(&[(Opcode::Text, true, b"short")]);
    assert_eq!(decoder.feed(&mut first, &small).next(), Ok(Some(Event::Text("short"))));
    let long = [b'a'; 100];
    hears(&mut decoder, masked(&[(Opcode::Binary, true, &long)]), &[Event::Binary(&long)]);
}

#[test]
fn each_side_refuses_what_only_the_other_may_send() {
    let mut unmasked = Vec::new();
    append_frame(&mut unmasked, Opcode::Text, true, b"hello");
    assert_eq!(refuses(unmasked.clone(), 1002).reason, "a client masks its frames");
    hears(&mut Decoder::new(Role::Client), unmasked, &[Event::Text("hello")]);
    let mut decoder = Decoder::new(Role::Client);
    let violation = decoder.feed(&mut masked(&[(Opcode::Text, true, b"")]), &LIMITS).next().err();
    assert_eq!(violation.map(|violation| violation.reason), Some("a server does not mask its frames"));
}
