//! What a message on the bus looks like: a line that the script writes, and a blob that the publisher encoded.
//!
//! ```text
//! M1 <n> <epoch> <offset> <tag>\n<blob>     with a position
//! M1 <n> -\n<blob>                          without
//! ```
//!
//! The blob, with lengths as four bytes, big end first: the publisher's 16 bytes; the audience (`A`, or `X` or `O`, a
//! length and 16 bytes each); then the mark, the whole value and the difference, each `-`, `F` with a length and bytes,
//! or `S` with two of them; then the control (`-`, `C` and two bytes, `R`, or `Q` or `A` with eight bytes, a length and
//! bytes). Of a transaction there is more: `G`, its id in eight bytes, a byte that says whether more of it comes on this
//! channel, and the end of the channel of each of its topics that comes after this one. Whoever may write to Redis may write nonsense here, so nothing is believed.

mod decode;
mod encode;

use std::sync::Arc;

pub(crate) use decode::decode;
pub(crate) use encode::encode;

/// A message that no publisher of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Which part of a transaction a message is, and what of it comes behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Of the transaction.
    pub(crate) id: u64,
    /// Whether more of it comes on the same channel.
    pub(crate) more: bool,
    /// The channels on which some of it comes after that: their [tails](crate::key::channel_tail).
    pub(crate) later: Arc<[Arc<str>]>,
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use mesh_backend::{Announce, Audience, Control, Key, Kind, Variants, Wire};
    use mesh_proto::{ConnId, Entropy, Epoch, Incarnation, Position, Tag};

    use super::*;

    fn topic() -> Key {
        Key::new(Kind::Room, "r")
    }

    fn message(line: &str, announce: &Announce) -> Bytes {
        let from = Incarnation::random(&Entropy::from_seed(1));
        [line.as_bytes(), &encode(from, announce, None)].concat().into()
    }

    fn full_blown() -> Announce {
        let entropy = Entropy::from_seed(2);
        let seam = Wire::Seam { before: Bytes::from_static(b"{"), after: Bytes::from_static(b"}") };
        Announce {
            topic: topic(),
            audience: Audience::Except([ConnId::random(&entropy), ConnId::random(&entropy)].into()),
            txn: Some("mark \u{2028}\n".into()),
            variants: Some(Variants { full: Some(seam.clone()), patch: Some(seam) }),
            control: Some(Control::Close(4000)),
        }
    }

    const LINE: &str = "M1 7 00000000000000ff 12 0000abcd\n";

    #[test]
    fn what_was_encoded_is_decoded() {
        let sent = full_blown();
        let (got, part) = decode(topic(), message(LINE, &sent)).unwrap();
        assert_eq!((part, got.group), (None, None));
        let position = Position { epoch: Epoch(255), offset: 12, tag: Tag(0xabcd) };
        let joined = Some(Bytes::from_static(br#"{"epoch":"00000000000000ff","offset":12}"#));
        assert_eq!((got.n, got.position, got.topic), (7, Some(position), topic()));
        assert_eq!((got.audience, got.txn, got.control), (sent.audience, sent.txn, sent.control));
        assert_eq!((&got.full, &got.patch), (&joined, &joined));

        let patch_alone = Variants { full: None, patch: sent.variants.and_then(|variants| variants.patch) };
        let got = decode(topic(), message(LINE, &Announce { variants: Some(patch_alone), ..full_blown() }));
        assert_eq!(got.map(|(got, _)| (got.full, got.patch)), Ok((None, joined)));

        let plain = Announce::text(topic(), Bytes::from_static(b"hi"));
        let (got, _) = decode(topic(), message("M1 1 -\n", &plain)).unwrap();
        assert_eq!((got.n, got.position, got.full), (1, None, Some(Bytes::from_static(b"hi"))));
    }

    #[test]
    fn a_part_of_a_transaction_says_what_comes_behind() {
        let from = Incarnation::random(&Entropy::from_seed(1));
        let announce = Announce::text(topic(), Bytes::from_static(b"hi"));
        let later = |count: usize| (0..count).map(|i| format!("tD:{i}").into()).collect();
        for count in [0, 2, 16] {
            let part = Part { id: u64::MAX, more: count == 2, later: later(count) };
            let whole = [b"M1 1 -\n", &encode(from, &announce, Some(&part))[..]].concat();
            let (got, decoded) = decode(topic(), whole.clone().into()).unwrap();
            assert_eq!((got.full, decoded), (Some(Bytes::from_static(b"hi")), Some(part)));
            let other = [&whole[..], b"x"].concat();
            assert_eq!(decode(topic(), other.into()), Err(Malformed));
        }
        let many = Part { id: 1, more: false, later: later(17) };
        let many = [b"M1 1 -\n", &encode(from, &announce, Some(&many))[..]].concat();
        assert_eq!(decode(topic(), many.into()), Err(Malformed));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let good = message(LINE, &full_blown());
        for cut in 0..good.len() {
            assert_eq!(decode(topic(), good.slice(..cut)), Err(Malformed), "cut at {cut}");
        }
        let more = [&good[..], b"x"].concat();
        assert_eq!(decode(topic(), more.into()), Err(Malformed));
        for line in [
            "\n",
            "M1\n",
            "M2 7 -\n",
            "M1 7\n",
            "M1 -7 -\n",
            "M1 +7 -\n",
            "M1  -\n",
            "M1 18446744073709551616 -\n",
            "M1 7 ff 12 0000abcd\n",
            "M1 7 00000000000000ff 12 0000abcd \n",
            "M1 7 00000000000000ff 12\n",
            "M1 7 +0000000000000ff 12 0000abcd\n",
        ] {
            assert_eq!(decode(topic(), message(line, &full_blown())), Err(Malformed), "{line:?}");
        }
    }

    /// Whatever one byte is changed to, nothing panics, and no length is believed.
    #[test]
    fn any_one_byte_may_be_anything() {
        let good = message(LINE, &full_blown());
        for at in 0..good.len() {
            for byte in [0, 1, b'-', b'F', b'S', b'X', 0x7f, 0x80, 0xff] {
                let mut bytes = good.to_vec();
                bytes[at] = byte;
                let _ = decode(topic(), bytes.into());
            }
        }
    }

    #[test]
    fn random_bytes_are_refused() {
        let entropy = Entropy::from_seed(3);
        for _ in 0..20_000 {
            let length = entropy.u64() % 100;
            let mut bytes = b"M1 1 -\n".to_vec();
            bytes.extend((0..length).map(|_| entropy.u64() as u8));
            assert_eq!(decode(topic(), bytes.into()), Err(Malformed));
        }
    }
}
