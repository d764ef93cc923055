//! Allocations per proxied request, counted by the allocator of a gateway built for it. Each answer costs the same as
//! long as nothing on its way changes: what other routes and their plugins need must not show.

use super::load::{self, Ask};
use super::peers::{self, Peer, Workdir};
use super::report::Table;
use super::{MANY_ROUTES, helper};
use anyhow::{Context, Result};
use std::io::Read;
use std::net::TcpStream;

const WARM_UP: usize = 500;
const REQUESTS: usize = 5_000;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    let binary = helper("counting-gateway")?;
    let key = [("apikey", peers::KEY)];
    let many = format!("{MANY_ROUTES} routes");
    let middle = format!("/svc{}/", MANY_ROUTES / 2);
    let plain = Ask::default();
    let cases = [
        ("plain", peers::plain_config(), plain),
        (
            "1 route that strips its path",
            peers::routes_config(MANY_ROUTES / 2..MANY_ROUTES / 2 + 1),
            Ask {
                path: &middle,
                ..plain
            },
        ),
        (
            "three plugins on another route",
            peers::idle_plugins_config(),
            plain,
        ),
        (
            many.as_str(),
            peers::routes_config(0..MANY_ROUTES),
            Ask {
                path: &middle,
                ..plain
            },
        ),
        (
            "rate-limiting + key-auth + request-transformer",
            peers::plugins_config(),
            Ask {
                headers: &key,
                ..plain
            },
        ),
    ];
    let mut table = Table::new(
        &format!("Allocations per request, {REQUESTS} requests on one connection"),
        &["", "allocations", "bytes"],
    );
    for (name, config, ask) in cases {
        let address = format!("127.0.0.1:{}", peers::free_port()?);
        let environment = [("COUNTS_ADDRESS", address.as_str())];
        let peer = Peer::tidegate_with(workdir, &binary, name, &config, &environment)?;
        load::in_turn(peer.port, &ask, WARM_UP)?;
        let before = totals(&address)?;
        load::in_turn(peer.port, &ask, REQUESTS)?;
        let after = totals(&address)?;
        let per_request = |before: u64, after: u64| (after - before) as f64 / REQUESTS as f64;
        table.row(&[
            name.to_owned(),
            format!("{:.1}", per_request(before.0, after.0)),
            format!("{:.0}", per_request(before.1, after.1)),
        ]);
    }
    Ok(vec![table])
}

/// Allocations and their bytes since the start.
fn totals(address: &str) -> Result<(u64, u64)> {
    let mut text = String::new();
    TcpStream::connect(address)
        .context("the counting gateway does not tell its counts")?
        .read_to_string(&mut text)?;
    let (count, bytes) = text.trim().split_once(' ').context("two numbers were expected")?;
    Ok((count.parse()?, bytes.parse()?))
}
