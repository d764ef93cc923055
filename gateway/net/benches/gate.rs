//! What the request gate costs per request, beside reading the same bytes without it.
//!
//! `cargo bench -p tidegate-net --bench gate`

use divan::{Bencher, black_box};
use hyper::rt::{Read, ReadBuf};
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tidegate_net::gate::{ConnectionState, Gate, GateLimits};
use tokio::io::AsyncRead;

/// As a load generator sends it.
const SMALL: &[u8] = b"GET /p1 HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n";

/// As a browser sends it: 25 header lines.
const BROWSER: &[u8] = b"GET /shop/articles/4711?ref=start&page=2&sort=price HTTP/1.1\r\n\
Host: www.shop.example.com\r\n\
Connection: keep-alive\r\n\
sec-ch-ua: \"Chromium\";v=\"142\", \"Not:A-Brand\";v=\"24\", \"Google Chrome\";v=\"142\"\r\n\
sec-ch-ua-mobile: ?0\r\n\
sec-ch-ua-platform: \"Linux\"\r\n\
DNT: 1\r\n\
Upgrade-Insecure-Requests: 1\r\n\
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
Sec-Fetch-Site: same-origin\r\n\
Sec-Fetch-Mode: navigate\r\n\
Sec-Fetch-User: ?1\r\n\
Sec-Fetch-Dest: document\r\n\
Referer: https://www.shop.example.com/shop/start?page=1\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\n\
Accept-Language: de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7\r\n\
Cookie: session=0f8e7d6c5b4a39281706f5e4d3c2b1a0; basket=3fa85f64-5717-4562-b3fc-2c963f66afa6; theme=dark\r\n\
If-None-Match: W/\"5e-18f2c4d7a10\"\r\n\
If-Modified-Since: Sun, 22 Nov 2026 10:00:00 GMT\r\n\
Cache-Control: max-age=0\r\n\
Priority: u=0, i\r\n\
X-Requested-With: XMLHttpRequest\r\n\
X-Forwarded-For: 203.0.113.7\r\n\
X-Trace: 4bf92f3577b34da6a3ce929d0e0e4736\r\n\
Pragma: no-cache\r\n\r\n";

/// A form of it that must be rewritten.
const BARE_LF: &[u8] = b"GET /p1 HTTP/1.1\nHost: 127.0.0.1:8000\n\n";

fn main() {
    divan::main();
}

/// Yields the same request at each read.
struct Repeat(&'static [u8]);

impl AsyncRead for Repeat {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        buf.put_slice(self.0);
        Poll::Ready(Ok(()))
    }
}

fn read(io: &mut (impl Read + Unpin), storage: &mut [u8]) -> usize {
    let mut buf = ReadBuf::new(storage);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(io).poll_read(&mut cx, buf.unfilled()).is_ready());
    buf.filled().len()
}

fn request(name: &str) -> &'static [u8] {
    match name {
        "small" => SMALL,
        "browser" => BROWSER,
        _ => BARE_LF,
    }
}

#[divan::bench(args = ["small", "browser", "bare_lf"])]
fn gated(bencher: Bencher<'_, '_>, name: &str) {
    let state = Rc::new(ConnectionState::default());
    let mut io = TokioIo::new(Gate::new(
        Repeat(request(name)),
        Rc::new(GateLimits::default()),
        Rc::clone(&state),
        Vec::new(),
    ));
    let mut storage = vec![0; 8_192];
    bencher.bench_local(|| {
        let count = read(&mut io, black_box(&mut storage));
        black_box(state.begin_request());
        state.finish_request();
        count
    });
}

#[divan::bench(args = ["small", "browser", "bare_lf"])]
fn bare(bencher: Bencher<'_, '_>, name: &str) {
    let mut io = TokioIo::new(Repeat(request(name)));
    let mut storage = vec![0; 8_192];
    bencher.bench_local(|| read(&mut io, black_box(&mut storage)));
}
