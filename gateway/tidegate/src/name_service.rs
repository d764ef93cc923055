//! Name resolution as the settings describe it.

use std::path::PathBuf;
use tidegate_config::settings::Settings;
use tidegate_config::settings::values::{NameServer, RecordType};
use tidegate_net::dns::{DnsSettings, NameService, NameServiceSettings, RecordKind};

/// Reads the files that name resolution depends on.
pub(crate) fn load(settings: &Settings) -> NameService {
    NameService::load(&lookup_settings(settings))
}

fn lookup_settings(settings: &Settings) -> NameServiceSettings {
    let dns = &settings.dns;
    let (servers, hosts_file, order): (&[NameServer], &PathBuf, &[RecordType]) = if dns.new_dns_client {
        (
            &dns.resolver_address,
            &dns.resolver_hosts_file,
            &dns.resolver_family,
        )
    } else {
        (&dns.dns_resolver, &dns.dns_hostsfile, &dns.dns_order)
    };
    NameServiceSettings {
        servers: servers.iter().map(|server| server.0).collect(),
        hosts_file: hosts_file.clone(),
        order: order.iter().map(|kind| record_kind(*kind)).collect(),
        srv_by_name_only: dns.new_dns_client,
        ..NameServiceSettings::default()
    }
}

const fn record_kind(kind: RecordType) -> RecordKind {
    match kind {
        RecordType::Last => RecordKind::Last,
        RecordType::Srv => RecordKind::Srv,
        RecordType::A => RecordKind::A,
        RecordType::Aaaa => RecordKind::Aaaa,
        RecordType::Cname => RecordKind::Cname,
    }
}

/// How long answers are kept.
pub(crate) fn cache_settings(settings: &Settings) -> DnsSettings {
    let dns = &settings.dns;
    if dns.new_dns_client {
        return DnsSettings {
            valid_ttl: dns.resolver_valid_ttl,
            stale_ttl: dns.resolver_stale_ttl,
            not_found_ttl: dns.resolver_error_ttl,
            error_ttl: dns.resolver_error_ttl,
            cache_size: dns.resolver_lru_cache_size,
        };
    }
    DnsSettings {
        valid_ttl: dns.dns_valid_ttl,
        stale_ttl: dns.dns_stale_ttl,
        not_found_ttl: dns.dns_not_found_ttl,
        error_ttl: dns.dns_error_ttl,
        cache_size: dns.dns_cache_size,
    }
}
