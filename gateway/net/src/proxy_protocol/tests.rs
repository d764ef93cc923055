use super::*;
use tokio::io::AsyncWriteExt;

/// The header and what the stream holds after it.
async fn read(bytes: &[u8]) -> (Result<ProxyHeader, ProxyProtocolError>, Vec<u8>) {
    let (mut client, mut server) = tokio::io::duplex(8_192);
    client.write_all(bytes).await.unwrap();
    drop(client);
    let header = read_header(&mut server, Duration::from_secs(5)).await;
    let mut rest = Vec::new();
    server.read_to_end(&mut rest).await.unwrap();
    (header, rest)
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE.as_slice(), &[command, family], &len, rest].concat()
}

fn proxied(source: &str, destination: &str) -> ProxyHeader {
    let addresses = ProxiedAddresses {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    ProxyHeader {
        addresses: Some(addresses),
    }
}

#[tokio::test]
async fn version_1_gives_the_addresses_and_leaves_the_request() {
    let cases = [
        (
            "PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\r\n",
            proxied("1.2.3.4:1234", "5.6.7.8:443"),
        ),
        (
            "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n",
            proxied("0.0.0.0:0", "0.0.0.0:0"),
        ),
        ("PROXY TCP6 :: :: 0 0\r\n", proxied("[::]:0", "[::]:0")),
        (
            "PROXY TCP6 2001:db8::1 ::1 65535 8443\r\n",
            proxied("[2001:db8::1]:65535", "[::1]:8443"),
        ),
        ("PROXY UNKNOWN\r\n", ProxyHeader::default()),
        ("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ProxyHeader::default()),
    ];
    for (line, expected) in cases {
        let (header, rest) = read(format!("{line}GET / HTTP/1.1\r\n").as_bytes()).await;
        assert_eq!(header.unwrap(), expected, "{line}");
        assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{line}");
    }
}

#[tokio::test]
async fn version_2_gives_the_addresses_and_skips_extensions() {
    let v4 = [1, 2, 3, 4, 5, 6, 7, 8, 0x04, 0xd2, 0x01, 0xbb];
    let mut v6 = [0; 36];
    (v6[15], v6[31], v6[33], v6[35]) = (1, 2, 80, 81);
    let with_extension = [v4.as_slice(), &[0x20, 0, 3, 1, 2, 3]].concat();
    let cases = [
        (v2(0x21, 0x11, &v4), proxied("1.2.3.4:1234", "5.6.7.8:443")),
        (
            v2(0x21, 0x11, &with_extension),
            proxied("1.2.3.4:1234", "5.6.7.8:443"),
        ),
        (v2(0x21, 0x21, &v6), proxied("[::1]:80", "[::2]:81")),
        (v2(0x20, 0x00, &[]), ProxyHeader::default()),
        (v2(0x20, 0x11, &v4), ProxyHeader::default()),
        (v2(0x21, 0x00, &[]), ProxyHeader::default()),
        (v2(0x21, 0x31, &[0; 216]), ProxyHeader::default()),
    ];
    for (bytes, expected) in cases {
        let (header, rest) = read(&[bytes.as_slice(), b"GET"].concat()).await;
        assert_eq!(
            (header.unwrap(), rest.as_slice()),
            (expected, b"GET".as_slice()),
            "{bytes:?}"
        );
    }
}

#[tokio::test]
async fn anything_else_is_refused() {
    let long = format!("PROXY TCP4 1.2.3.4 5.6.7.8 1 {}\r\n", "1".repeat(80));
    for line in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1234 65536\r\n",
        "PROXY TCP4 1.2.3.4 ::1 1234 443\r\n",
        "PROXY TCP6 1.2.3.4 5.6.7.8 1234 443\r\n",
        "PROXY TCP4 1.2.3.4  5.6.7.8 1234 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 +1 443\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1234 443 \r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1234 443\n\n",
        "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
        "PROXY TCP4 1.2.3.4 5.6.7.8 1234",
        long.as_str(),
    ] {
        assert!(read(line.as_bytes()).await.0.is_err(), "{line:?}");
    }
    for bytes in [
        v2(0x11, 0x11, &[0; 12]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x41, &[0; 12]),
        v2(0x21, 0x11, &[0; 2_049]),
    ] {
        assert!(read(&bytes).await.0.is_err(), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_in_time_is_given_up() {
    let (_client, mut server) = tokio::io::duplex(64);
    let header = read_header(&mut server, Duration::from_millis(10)).await;
    assert!(matches!(header, Err(ProxyProtocolError::Timeout)));
}
