//! The answer of the router.

/// The route that won and what it matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// Position of the route in the input of the router.
    pub route: u32,
    /// Bytes of the path that matched, by plain prefix or by regex; 0 when the route has no path.
    pub matched_prefix: usize,
    /// Groups of the regex, when it has any.
    pub captures: Option<Box<MatchCaptures>>,
}

/// Groups of a path regex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchCaptures {
    /// By number, the whole match first; `None` for a group that took no part.
    pub groups: Vec<Option<String>>,
    /// Names and the groups they stand for.
    pub names: Vec<(String, usize)>,
}

impl MatchCaptures {
    /// Text of a named group.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&str> {
        let (_, group) = self.names.iter().find(|(own, _)| own == name)?;
        self.groups.get(*group)?.as_deref()
    }
}
