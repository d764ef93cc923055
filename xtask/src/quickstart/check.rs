//! Tries every step and compares.

use super::curl::Curl;
use super::steps::Step;
use anyhow::{Result, bail};

pub(crate) fn all(steps: &[Step]) -> Result<()> {
    println!();
    let mut failed = 0;
    for step in steps {
        match attempt(step) {
            Ok(()) => println!("ok      {}", step.title),
            Err(error) => {
                failed += 1;
                println!("FAILED  {}\n        {}\n        {error:#}", step.title, step.curl);
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} steps did not do what they say", steps.len());
    }
    println!("all {} steps do what they say", steps.len());
    Ok(())
}

fn attempt(step: &Step) -> Result<()> {
    let curl = Curl::parse(&step.curl)?;
    let mut last = Ok(());
    for _ in 0..step.tries {
        last = curl.send().and_then(|answer| (step.facts)(&answer));
        if last.is_ok() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::super::{ports::Ports, steps};
    use super::*;

    #[test]
    fn every_printed_line_can_be_driven() {
        let ports = Ports {
            proxy: 1,
            tls: 2,
            status: 3,
            open_backend: 4,
            guarded_backend: 5,
        };
        for step in steps::all(&ports) {
            Curl::parse(&step.curl).unwrap();
        }
    }
}
