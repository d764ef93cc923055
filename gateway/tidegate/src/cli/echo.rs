//! `tidegate echo`: the bundled server to try routes against.

use super::Surroundings;
use super::arguments::EchoArguments;
use super::fault::explain_io_error;
use crate::echo::{EchoOptions, serve};
use anyhow::{Context, Result, anyhow, bail};
use tokio::net::TcpListener;

/// One address to serve, with the environment variable that holds the header it demands.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    address: &'a str,
    require_authorization: Option<&'a str>,
}

pub(super) fn run(arguments: &EchoArguments, surroundings: &mut Surroundings<'_>) -> Result<()> {
    let mut servers = Vec::new();
    for text in &arguments.listen {
        let address = Address::parse(text, arguments.require_authorization.as_deref())?;
        servers.push((
            address.address.to_owned(),
            address.options(&surroundings.environment)?,
        ));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for (address, options) in servers {
            let what = format!("cannot open listener {address}");
            let listener = TcpListener::bind(&address)
                .await
                .map_err(|error| anyhow!(explain_io_error(&what, &error)))?;
            let note = if options.authorization.is_some() {
                " (demands an Authorization header)"
            } else {
                ""
            };
            writeln!(
                surroundings.stdout,
                "echo listens on http://{}{note}",
                listener.local_addr()?
            )?;
            tasks.spawn(serve(listener, options));
        }
        surroundings.stdout.flush()?;
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        Ok(())
    })
}

impl<'a> Address<'a> {
    fn parse(text: &'a str, default: Option<&'a str>) -> Result<Self> {
        let mut words = text.split_ascii_whitespace();
        let address = words
            .next()
            .context("`--listen` needs an address such as 127.0.0.1:9001")?;
        let mut require_authorization = default;
        for word in words {
            match word.split_once('=') {
                Some(("require-authorization", variable)) if !variable.is_empty() => {
                    require_authorization = Some(variable);
                }
                _ => bail!(
                    "`{word}` makes no sense behind an address: expected `require-authorization=VARIABLE`"
                ),
            }
        }
        Ok(Self {
            address,
            require_authorization,
        })
    }

    fn options(&self, environment: &[(String, String)]) -> Result<EchoOptions> {
        let Some(variable) = self.require_authorization else {
            return Ok(EchoOptions::default());
        };
        let found = environment
            .iter()
            .find(|(name, value)| name == variable && !value.is_empty());
        let (_, value) =
            found.with_context(|| format!("the environment variable `{variable}` is not set"))?;
        Ok(EchoOptions {
            authorization: Some(value.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_may_demand_a_header_of_its_own() {
        let plain = Address::parse("127.0.0.1:9001", None).expect("legal");
        assert_eq!(
            plain,
            Address {
                address: "127.0.0.1:9001",
                require_authorization: None
            }
        );
        let own =
            Address::parse("127.0.0.1:9002 require-authorization=SECRET", Some("OTHER")).expect("legal");
        assert_eq!(own.require_authorization, Some("SECRET"));
        assert_eq!(
            Address::parse("127.0.0.1:9003", Some("OTHER"))
                .expect("legal")
                .require_authorization,
            Some("OTHER")
        );
        for text in ["", "127.0.0.1:9001 tls", "127.0.0.1:9001 require-authorization="] {
            assert!(Address::parse(text, None).is_err(), "{text}");
        }
    }

    #[test]
    fn the_demanded_header_is_the_content_of_the_variable() {
        let address = Address {
            address: "x",
            require_authorization: Some("SECRET"),
        };
        let environment = vec![("SECRET".to_owned(), "Bearer s3cret".to_owned())];
        let options = address.options(&environment).expect("set");
        assert_eq!(options.authorization.as_deref(), Some("Bearer s3cret"));
        let text = address.options(&[]).expect_err("not set").to_string();
        assert_eq!(text, "the environment variable `SECRET` is not set");
    }
}
