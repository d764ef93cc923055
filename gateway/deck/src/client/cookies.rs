//! Cookies from a file in Netscape's format: seven fields a line, separated by tabs.

use super::address::Address;
use crate::error::Error;
use std::fs;
use std::path::Path;

/// The value of the header `Cookie` for an address; none when no cookie is meant for it.
pub(super) fn header(jar: &Path, address: &Address) -> Result<Option<String>, Error> {
    let text = fs::read_to_string(jar)
        .map_err(|error| Error::input(format!("cannot read the cookie jar {}: {error}", jar.display())))?;
    let cookies: Vec<String> = text.lines().filter_map(|line| cookie(line, address)).collect();
    Ok((!cookies.is_empty()).then(|| cookies.join("; ")))
}

fn cookie(line: &str, address: &Address) -> Option<String> {
    let line = line.strip_prefix("#HttpOnly_").unwrap_or(line);
    if line.starts_with('#') {
        return None;
    }
    let mut fields = line.split('\t');
    let domain = fields.next()?;
    let with_subdomains = fields.next()? == "TRUE";
    let path = fields.next()?;
    let needs_tls = fields.next()? == "TRUE";
    let _expires = fields.next()?;
    let (name, value) = (fields.next()?, fields.next()?.trim_end());
    let domain = domain.trim_start_matches('.');
    let is_below = || {
        let ahead = address.host.strip_suffix(domain).unwrap_or_default();
        with_subdomains && ahead.ends_with('.')
    };
    let is_meant = (address.host == domain || is_below())
        && (path == "/" || address.path.starts_with(path))
        && (address.is_tls || !needs_tls);
    is_meant.then(|| format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::{Address, header};

    #[test]
    fn cookies_for_the_address_are_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let jar = folder.path().join("jar");
        let text = "# Netscape HTTP Cookie File\n\nkong.test\tFALSE\t/\tFALSE\t0\ta\t1\n\
                    #HttpOnly_.kong.test\tTRUE\t/\tTRUE\t0\tb\t2\nother.test\tTRUE\t/\tFALSE\t0\tc\t3\nbroken\n";
        std::fs::write(&jar, text).expect("a file");
        for (address, expected) in [
            ("http://kong.test", Some("a=1")),
            ("https://kong.test", Some("a=1; b=2")),
            ("https://admin.kong.test", Some("b=2")),
            ("https://notkong.test", None),
        ] {
            let address = Address::parse(address).expect("an address");
            assert_eq!(header(&jar, &address).expect("a jar").as_deref(), expected);
        }
    }
}
