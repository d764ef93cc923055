//! The gateway with a counting allocator. Whoever connects to `COUNTS_ADDRESS` reads `<allocations> <bytes>`.

use mimalloc::MiMalloc;
use std::io::Write as _;
use std::net::TcpListener;
use std::process::ExitCode;
use tidegate_benches::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting<MiMalloc> = Counting::new(MiMalloc);

fn main() -> ExitCode {
    if let Some(listener) = std::env::var("COUNTS_ADDRESS")
        .ok()
        .and_then(|address| TcpListener::bind(address).ok())
    {
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (count, bytes) = ALLOCATOR.totals();
                drop(writeln!(stream, "{count} {bytes}"));
            }
        });
    }
    tidegate::cli::main()
}
