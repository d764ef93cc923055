//! Opens connections to a gateway, makes one request on each and keeps them open until its standard input ends.
//!
//! `idle-connections plain|tls ADDRESS COUNT`; prints `ready` when all are open.

#![allow(clippy::expect_used, reason = "a benchmark stops at the first surprise")]
#![allow(clippy::print_stdout, reason = "the benchmark waits for the word")]

use std::io::Read as _;
use std::net::SocketAddr;
use tidegate_tests::tls::Hello;
use tidegate_tests::{RawClient, Request};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().expect("plain|tls ADDRESS COUNT");
    let is_tls = next() == "tls";
    let address: SocketAddr = next().parse().expect("an address");
    let count: usize = next().parse().expect("a count");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let clients = runtime.block_on(async {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let mut client = if is_tls {
                RawClient::connect_tls(address, Hello::to("localhost")).await
            } else {
                RawClient::connect(address).await
            };
            let answer = client.call(&Request::get("/")).await;
            assert_eq!(answer.status, 200, "every connection is served");
            clients.push(client);
        }
        clients
    });
    println!("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(clients);
}
