//! Settings in the environment.

/// Which family a variable belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `TIDEGATE_X`: an unknown name is a fault.
    Tidegate,
    /// `KONG_X`: an unknown name is only worth a warning, since scripts for Kong set many.
    Kong,
}

/// Names after `TIDEGATE_` that are no settings: `CONF` is the path of the settings file (the command line reads it),
/// the others are customary in start scripts for the arguments and the configuration folder.
const NOT_SETTINGS: &[&str] = &["CONF", "CONFIG", "ARGS"];

/// The family and the setting name (lower case) of an environment variable; `None` when it does not concern us.
pub(super) fn setting_of(variable: &str) -> Option<(Family, String)> {
    let (family, rest) = match (variable.strip_prefix("TIDEGATE_"), variable.strip_prefix("KONG_")) {
        (Some(rest), _) => (Family::Tidegate, rest),
        (_, Some(rest)) => (Family::Kong, rest),
        _ => return None,
    };
    if rest.is_empty() || NOT_SETTINGS.contains(&rest) {
        return None;
    }
    Some((family, rest.to_ascii_lowercase()))
}

/// Whether an unknown name looks like what Kubernetes and Docker links put into every container beside a service
/// called `tidegate` or `tidegate-proxy`: `TIDEGATE_SERVICE_HOST`, `TIDEGATE_PROXY_PORT_8000_TCP_ADDR`.
pub(super) fn is_service_link(name: &str, value: &str) -> bool {
    let is_url = || {
        ["tcp://", "udp://", "sctp://"]
            .iter()
            .any(|scheme| value.starts_with(scheme))
    };
    if name == "service_host" || name.ends_with("_service_host") {
        return true;
    }
    if name.starts_with("service_port") || name.contains("_service_port") {
        return true;
    }
    if name == "port" || name.ends_with("_port") {
        return is_url();
    }
    let Some((_, after)) = name.rsplit_once("port_") else {
        return false;
    };
    let mut parts = after.splitn(3, '_');
    let number = parts.next().is_some_and(|part| part.parse::<u16>().is_ok());
    let protocol = parts
        .next()
        .is_some_and(|part| matches!(part, "tcp" | "udp" | "sctp"));
    number && protocol && matches!(parts.next(), None | Some("addr" | "port" | "proto"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_with_a_known_prefix_concern_us() {
        assert_eq!(
            setting_of("TIDEGATE_LOG_LEVEL"),
            Some((Family::Tidegate, "log_level".to_owned()))
        );
        assert_eq!(
            setting_of("KONG_PREFIX"),
            Some((Family::Kong, "prefix".to_owned()))
        );
        for other in [
            "PATH",
            "KONG",
            "TIDEGATE_",
            "tidegate_prefix",
            "TIDEGATE_CONF",
            "TIDEGATE_ARGS",
        ] {
            assert_eq!(setting_of(other), None, "{other}");
        }
    }

    #[test]
    fn links_to_a_kubernetes_service_are_told_from_settings() {
        for (name, value) in [
            ("service_host", "10.0.0.1"),
            ("proxy_service_port_http", "80"),
            ("proxy_port", "tcp://10.0.0.1:80"),
            ("port_8000_tcp", "tcp://10.0.0.1:8000"),
            ("proxy_port_8000_tcp_addr", "10.0.0.1"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in [
            ("proxy_port", "8000"),
            ("proxy_listn", "x"),
            ("port_x_tcp", "1"),
            ("port_80_tcp_x", "1"),
        ] {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
