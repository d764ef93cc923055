//! What validity depends on besides the table: how this gateway is set up.

/// Setup that some checks ask for. The default is Kong's default setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The router in use.
    pub router_flavor: RouterFlavor,
    /// Types of vaults that are installed.
    pub vault_types: &'static [&'static str],
}

impl Default for Context {
    fn default() -> Self {
        Self {
            router_flavor: RouterFlavor::default(),
            vault_types: &["env"],
        }
    }
}

/// How routes are matched (kong-core C.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RouterFlavor {
    /// Classic fields, order of the expression engine.
    #[default]
    TraditionalCompatible,
    /// Classic fields, order of the old engine.
    Traditional,
    /// Classic fields and expressions.
    Expressions,
}

impl RouterFlavor {
    /// The flavour with this name in the settings, if there is one.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "traditional_compatible" => Some(Self::TraditionalCompatible),
            "traditional" => Some(Self::Traditional),
            "expressions" => Some(Self::Expressions),
            _ => None,
        }
    }

    /// Its name in the settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TraditionalCompatible => "traditional_compatible",
            Self::Traditional => "traditional",
            Self::Expressions => "expressions",
        }
    }
}
