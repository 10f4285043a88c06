//! A client's frames are masked: each payload byte is XORed with one of four, in turn.

/// Mask or unmask, which is the same. The first byte meets the first byte of the mask.
pub(crate) fn apply(mask: [u8; 4], bytes: &mut [u8]) {
    // A server's frames are read as if masked with zeros.
    if mask == [0; 4] {
        return;
    }
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// The mask of what follows after `done` bytes.
pub(crate) fn turned(mut mask: [u8; 4], done: usize) -> [u8; 4] {
    mask.rotate_left(done % 4);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_pieces_give_what_bytes_give() {
        let mask = [0x11, 0x80, 0x00, 0xff];
        for len in 0..40 {
            let plain: Vec<u8> = (0..len as u8).collect();
            let slow: Vec<u8> = plain.iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect();
            for cut in 0..=len {
                let mut fast = plain.clone();
                apply(mask, &mut fast[..cut]);
                apply(turned(mask, cut), &mut fast[cut..]);
                assert_eq!(fast, slow, "{len} bytes cut at {cut}");
            }
        }
    }
}
