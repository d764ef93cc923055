//! How long a start takes, from the process to the first answer.

use super::MANY_ROUTES;
use super::load::{self, Ask};
use super::peers::{self, Peer, Workdir};
use super::report::{Table, median};
use anyhow::Result;
use std::time::Instant;

const STARTS: usize = 11;

pub(crate) fn run(workdir: &Workdir) -> Result<Vec<Table>> {
    let mut table = Table::new(
        &format!("Start to first answer, {STARTS} starts"),
        &["routes", "median ms", "slowest ms"],
    );
    for count in [1, MANY_ROUTES] {
        let config = peers::routes_config(0..count);
        let ask = Ask {
            path: "/svc0/",
            ..Ask::default()
        };
        let mut millis = Vec::new();
        for _ in 0..STARTS {
            let start = Instant::now();
            let peer = Peer::tidegate(workdir, "tidegate", &config)?;
            load::in_turn(peer.port, &ask, 1)?;
            millis.push(start.elapsed().as_secs_f64() * 1e3);
        }
        let slowest = millis.iter().copied().fold(0.0, f64::max);
        table.row(&[
            count.to_string(),
            format!("{:.0}", median(millis.into_iter())),
            format!("{slowest:.0}"),
        ]);
    }
    Ok(vec![table])
}
