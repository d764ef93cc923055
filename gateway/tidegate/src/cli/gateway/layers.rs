//! Where the value of a setting comes from: flag, variable, file, default, in this order.

use super::arguments::ConnectionArguments;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_config::declarative::{Limits, Source, parse};
use tidegate_deck::{Connection, Error, Konnect, TlsSettings};

const KONG_ADDRESS: &str = "http://localhost:8001";
const KONNECT_ADDRESS: &str = "https://us.api.konghq.com";
const TIMEOUT_SECONDS: f64 = 10.0;

pub(super) struct Layers<'a> {
    flags: &'a ConnectionArguments,
    environment: BTreeMap<String, String>,
    file: Map<String, Value>,
}

impl<'a> Layers<'a> {
    pub(super) fn new(
        flags: &'a ConnectionArguments,
        environment: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let file = match (&flags.config, environment.get("HOME")) {
            (Some(file), _) => read(file)?,
            (None, Some(home)) => {
                let file = Path::new(home).join(".deck.yaml");
                if file.exists() { read(&file)? } else { Map::new() }
            }
            (None, None) => Map::new(),
        };
        Ok(Self {
            flags,
            environment,
            file,
        })
    }

    pub(super) const fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The name of a file's format.
    pub(super) fn format(&self, flag: Option<&str>) -> Option<String> {
        flag.map(str::to_owned)
            .or_else(|| self.environment.get("DECK_FORMAT").cloned())
    }

    /// A setting that is on or off.
    pub(super) fn is_on(&self, name: &str) -> Result<bool, Error> {
        match self.text(name).as_deref() {
            None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(false),
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(true),
            Some(other) => Err(Error::Input(format!(
                "'{other}' is no value for {name}: true or false"
            ))),
        }
    }

    pub(super) fn connection(&self) -> Result<Connection, Error> {
        let seconds = self.number("timeout")?.unwrap_or(TIMEOUT_SECONDS);
        let timeout = Duration::try_from_secs_f64(seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| {
                Error::Input(format!(
                    "'{seconds}' is no value for timeout: seconds, more than 0"
                ))
            })?;
        let konnect = self.konnect()?;
        let address = if konnect.is_some() {
            self.text("konnect-addr")
                .unwrap_or_else(|| KONNECT_ADDRESS.to_owned())
        } else {
            self.text("kong-addr").unwrap_or_else(|| KONG_ADDRESS.to_owned())
        };
        Ok(Connection {
            address,
            admin_token: self.text("kong-admin-token"),
            headers: self.headers(),
            cookie_jar: self.text("kong-cookie-jar-path").map(PathBuf::from),
            timeout,
            tls: self.tls()?,
            konnect,
            verbose: self.number("verbose")?.is_some_and(|level| level >= 1.0),
        })
    }

    /// A gateway that is named comes first; a token or an address of the hosted API comes second.
    fn konnect(&self) -> Result<Option<Konnect>, Error> {
        if self
            .text("kong-addr")
            .is_some_and(|address| address != KONG_ADDRESS)
        {
            return Ok(None);
        }
        let token = self.text_or_file("konnect-token", "konnect-token-file")?;
        if token.is_none() && self.text("konnect-addr").is_none() {
            return Ok(None);
        }
        let control_plane = self
            .text("konnect-control-plane-name")
            .or_else(|| self.text("konnect-runtime-group-name"));
        Ok(Some(Konnect {
            token: token.unwrap_or_default().trim_matches(['\r', '\n']).to_owned(),
            control_plane,
        }))
    }

    fn tls(&self) -> Result<TlsSettings, Error> {
        let certificate = self.text_or_file("tls-client-cert", "tls-client-cert-file")?;
        let key = self.text_or_file("tls-client-key", "tls-client-key-file")?;
        let client_certificate = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(Error::Input(
                    "tls-client-cert and tls-client-key must be used together".to_owned(),
                ));
            }
        };
        Ok(TlsSettings {
            skips_verification: self.is_on("tls-skip-verify")?,
            server_name: self.text("tls-server-name"),
            ca_certificate: self.text_or_file("ca-cert", "ca-cert-file")?,
            client_certificate,
        })
    }

    fn headers(&self) -> Vec<String> {
        if !self.flags.headers.is_empty() {
            return self.flags.headers.clone();
        }
        let split = |text: &str| text.split(',').map(str::to_owned).collect();
        if let Some(text) = self.environment.get("DECK_HEADERS") {
            return split(text);
        }
        match self.file.get("headers") {
            Some(Value::String(text)) => split(text),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Error> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Error::Input(format!("'{text}' is no value for {name}: a number")))
            })
            .transpose()
    }

    fn text_or_file(&self, name: &str, file: &str) -> Result<Option<String>, Error> {
        if let Some(text) = self.text(name) {
            return Ok(Some(text));
        }
        self.text(file)
            .map(|path| {
                fs::read_to_string(&path)
                    .map_err(|error| Error::Input(format!("cannot read {path}: {error}")))
            })
            .transpose()
    }

    fn text(&self, name: &str) -> Option<String> {
        let variable = format!("DECK_{}", name.to_ascii_uppercase().replace('-', "_"));
        let in_file = || match self.file.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        let flag = self.flag(name).cloned();
        flag.or_else(|| self.environment.get(&variable).cloned())
            .or_else(in_file)
            .filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> Option<&'a String> {
        let flags = self.flags;
        let flag = match name {
            "kong-addr" => &flags.kong_addr,
            "kong-admin-token" => &flags.kong_admin_token,
            "kong-cookie-jar-path" => &flags.kong_cookie_jar_path,
            "timeout" => &flags.timeout,
            "tls-skip-verify" => &flags.tls_skip_verify,
            "tls-server-name" => &flags.tls_server_name,
            "ca-cert" => &flags.ca_cert,
            "ca-cert-file" => &flags.ca_cert_file,
            "tls-client-cert" => &flags.tls_client_cert,
            "tls-client-cert-file" => &flags.tls_client_cert_file,
            "tls-client-key" => &flags.tls_client_key,
            "tls-client-key-file" => &flags.tls_client_key_file,
            "konnect-addr" => &flags.konnect_addr,
            "konnect-token" => &flags.konnect_token,
            "konnect-token-file" => &flags.konnect_token_file,
            "konnect-control-plane-name" => &flags.konnect_control_plane_name,
            "verbose" => &flags.verbose,
            "no-color" => &flags.no_color,
            "analytics" => &flags.analytics,
            _ => return None,
        };
        flag.as_ref()
    }
}

fn read(file: &Path) -> Result<Map<String, Value>, Error> {
    let name = file.display().to_string();
    let bytes = fs::read(file).map_err(|error| Error::Input(format!("cannot read {name}: {error}")))?;
    // decK's own file may have any ending and is YAML.
    let source = Source {
        name: "settings.yaml",
        bytes: &bytes,
    };
    match parse(&source, &Limits::default()) {
        Ok(Value::Object(settings)) => Ok(settings),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(Error::Input(format!("{name}: expected settings by name"))),
        Err(faults) => Err(Error::Input(format!("{name}: {}", faults.to_string().trim_end()))),
    }
}
