//! Pieces of HTTP/1 heads.

use bytes::BytesMut;

/// Appends a header line; the first letter of each word of the name is written in upper case, as HTTP/1 peers expect.
pub fn put_header(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    let mut begins = true;
    for byte in out.get_mut(start..).unwrap_or_default() {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a number in decimal.
pub fn put_decimal(out: &mut BytesMut, mut number: u64) {
    let mut digits = [0; 20];
    let mut start = digits.len();
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        start = place;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_of_a_name_begins_in_upper_case() {
        for (name, written) in [
            ("host", "Host: v\r\n"),
            ("x-real-ip", "X-Real-Ip: v\r\n"),
            ("-a--b", "-A--B: v\r\n"),
        ] {
            let mut out = BytesMut::new();
            put_header(&mut out, name, b"v");
            assert_eq!(out, written.as_bytes());
        }
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 1_234, u64::MAX] {
            let mut out = BytesMut::new();
            put_decimal(&mut out, number);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }
}
