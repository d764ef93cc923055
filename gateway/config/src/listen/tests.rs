use super::*;
use std::time::Duration;

fn http(text: &str) -> Result<ListenList, ListenError> {
    ListenList::parse(text, Traffic::Http)
}

fn only(text: &str) -> ListenAddress {
    let list = http(text).expect("a legal text");
    assert_eq!(list.len(), 1, "{text}");
    list.addresses[0].clone()
}

#[test]
fn the_default_of_proxy_listen_gives_two_addresses_with_their_flags() {
    let list = http("0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384")
        .expect("legal");
    let plain = ListenFlags {
        reuseport: true,
        backlog: Some(16_384),
        ..ListenFlags::default()
    };
    assert_eq!(
        list[0].endpoint,
        Endpoint::Socket("0.0.0.0:8000".parse().expect("an address"))
    );
    assert_eq!(list[0].flags, plain);
    assert_eq!(
        list[1].flags,
        ListenFlags {
            ssl: true,
            http2: true,
            ..plain
        }
    );
}

#[test]
fn off_means_no_address_and_stands_alone() {
    assert_eq!(http(" off "), Ok(ListenList::default()));
    assert_eq!(http("off, 0.0.0.0:80"), Err(ListenError::OffBesideAddress));
    assert_eq!(http("0.0.0.0:80, off"), Err(ListenError::OffBesideAddress));
}

#[test]
fn addresses_may_be_ipv6_host_names_wildcards_and_unix_sockets() {
    assert_eq!(
        only("[::1]:8000").endpoint,
        Endpoint::Socket("[::1]:8000".parse().expect("an address"))
    );
    assert_eq!(
        only("*:80").endpoint,
        Endpoint::Socket("0.0.0.0:80".parse().expect("an address"))
    );
    assert_eq!(
        only("Gateway_1.local:80").endpoint,
        Endpoint::Host {
            name: "gateway_1.local".to_owned(),
            port: 80
        }
    );
    assert_eq!(
        only("unix:/run/t.sock ssl").endpoint,
        Endpoint::Unix(PathBuf::from("/run/t.sock"))
    );
}

#[test]
fn every_fault_of_an_address_has_its_message() {
    for (text, part) in [
        ("", "is missing"),
        ("0.0.0.0:80,", "is missing"),
        ("0.0.0.0", "`0.0.0.0` has no port"),
        ("[::1]", "has no port"),
        ("host:", "has no port"),
        ("0.0.0.0:65536", "no valid port"),
        ("0.0.0.0:+80", "no valid port"),
        ("0.0.0.0:http", "no valid port"),
        ("1.2.3.4.5:80", "neither an IP address nor a host name"),
        ("::1:80", "neither an IP address nor a host name"),
        ("[::g]:80", "neither an IP address nor a host name"),
        ("-a:80", "neither an IP address nor a host name"),
        ("unix:run/t.sock", "absolute path"),
        ("0.0.0.0:80 quic", "`quic` is no flag of this listener"),
        ("0.0.0.0:80 udp", "`udp` is no flag"),
        ("0.0.0.0:80 rcvbuf=1", "`rcvbuf=1` is no flag"),
        ("0.0.0.0:80 backlog=0", "`backlog=0` does not have a legal value"),
        ("0.0.0.0:80 backlog=-1", "does not have a legal value"),
        ("[::]:80 ipv6only=yes", "does not have a legal value"),
        ("0.0.0.0:80 so_keepalive=::", "does not have a legal value"),
        ("0.0.0.0:80 ssl, 0.0.0.0:80", "`0.0.0.0:80` is listed twice"),
    ] {
        let message = http(text).expect_err(text).to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn stream_listeners_take_udp_but_not_the_flags_of_http() {
    let list =
        ListenList::parse("0.0.0.0:53, 0.0.0.0:53 udp", Traffic::Stream).expect("TCP and UDP share a port");
    assert!(list[1].flags.udp && !list[0].flags.udp);
    for flag in ["http2", "deferred"] {
        assert!(
            ListenList::parse(&format!("0.0.0.0:53 {flag}"), Traffic::Stream).is_err(),
            "{flag}"
        );
    }
}

#[test]
fn keepalive_probes_can_be_tuned_in_part() {
    let seconds = |n| Some(Duration::from_secs(n));
    for (text, value) in [
        ("on", TcpKeepalive::On),
        ("off", TcpKeepalive::Off),
        (
            "30m::10",
            TcpKeepalive::Tuned {
                idle: seconds(1_800),
                interval: None,
                count: Some(10),
            },
        ),
        (
            ":5s:",
            TcpKeepalive::Tuned {
                idle: None,
                interval: seconds(5),
                count: None,
            },
        ),
    ] {
        assert_eq!(
            only(&format!("0.0.0.0:80 so_keepalive={text}"))
                .flags
                .so_keepalive,
            Some(value),
            "{text}"
        );
    }
}

#[test]
fn several_listeners_may_leave_their_port_to_the_system() {
    assert_eq!(http("127.0.0.1:0, 127.0.0.1:0 ssl").map(|list| list.len()), Ok(2));
}

#[test]
fn what_is_written_reads_back_the_same() {
    for text in [
        "off",
        "0.0.0.0:8000 reuseport backlog=16384, [::]:8443 ssl http2 ipv6only=on",
        "unix:/run/t.sock proxy_protocol, gw.local:80 deferred bind so_keepalive=60:5:3",
    ] {
        let list = http(text).expect("legal");
        assert_eq!(list.to_string(), text);
    }
}

#[test]
fn a_flag_that_the_address_cannot_have_is_refused() {
    for (text, flag, address) in [
        ("unix:/run/t.sock deferred", "deferred", "a unix socket"),
        ("unix:/run/t.sock fastopen=5", "fastopen", "a unix socket"),
        (
            "unix:/run/t.sock so_keepalive=on",
            "so_keepalive",
            "a unix socket",
        ),
        ("unix:/run/t.sock ipv6only=on", "ipv6only", "a unix socket"),
        ("0.0.0.0:80 ipv6only=off", "ipv6only", "an IPv4 address"),
    ] {
        assert_eq!(
            http(text),
            Err(ListenError::SenselessFlag { flag, address }),
            "{text}"
        );
    }
    for text in [
        "unix:/run/t.sock ssl reuseport backlog=5",
        "[::]:80 ipv6only=off",
        "host.test:80 ipv6only=on",
    ] {
        assert!(http(text).is_ok(), "{text}");
    }
}

#[test]
fn fastopen_takes_the_length_of_its_queue() {
    let address = only("0.0.0.0:80 deferred fastopen=256");
    assert_eq!(
        (address.flags.deferred, address.flags.fastopen),
        (true, Some(256))
    );
    assert_eq!(address.to_string(), "0.0.0.0:80 deferred fastopen=256");
    for text in [
        "0.0.0.0:80 fastopen",
        "0.0.0.0:80 fastopen=0",
        "0.0.0.0:80 fastopen=x",
    ] {
        assert!(http(text).is_err(), "{text}");
    }
}
