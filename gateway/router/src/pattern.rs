//! Regular expressions of routes: checked when the configuration is compiled, built when first needed.
//!
//! Ten thousand regex routes must cost neither seconds at start nor megabytes each: a pattern is parsed and its size
//! bounded at once, but its automaton is built by the first request that gets as far as testing it. Two literals come
//! out of the parse and serve the index: the one every match starts with and one that every match contains.

use crate::matched::MatchCaptures;
use regex_automata::util::captures::Captures;
use regex_automata::{Input, meta, util::syntax};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::sync::OnceLock;

/// Largest compiled form of one pattern, in bytes.
pub const MAX_COMPILED_PATTERN_BYTES: usize = 2 * 1024 * 1024;
/// Memory for the lazily built states of one pattern in one thread, in bytes.
const LAZY_STATE_BYTES: usize = 256 * 1024;
/// Literals shorter than this select too little to be worth a search.
const MIN_INNER_LITERAL: usize = 3;

/// Why a pattern is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not parse, or uses look-around or back-references.
    #[error("{0}")]
    Syntax(String),
    /// It parses, but its automaton would be too large.
    #[error("pattern compiles to more than {MAX_COMPILED_PATTERN_BYTES} bytes; lower its repetition counts")]
    TooLarge,
}

/// A checked pattern. Matches bytes; Unicode classes are on, as in Rust's `regex`.
#[derive(Debug)]
pub(crate) struct Pattern {
    source: Box<str>,
    /// Every match starts at the start of the text.
    anchored: bool,
    prefix: Box<[u8]>,
    inner: Option<Box<[u8]>>,
    /// Names of groups that have one.
    names: Box<[(Box<str>, usize)]>,
    /// Groups besides the whole match.
    groups: usize,
    automaton: OnceLock<Option<meta::Regex>>,
}

impl Pattern {
    pub(crate) fn parse(source: &str) -> Result<Self, PatternError> {
        let hir =
            syntax::parse_with(source, &syntax_config()).map_err(|e| PatternError::Syntax(last_line(&e)))?;
        let automaton = OnceLock::new();
        if size_bound(&hir) > MAX_COMPILED_PATTERN_BYTES {
            // The bound is generous; only the real compiler can tell.
            let Some(built) = build(&hir, MAX_COMPILED_PATTERN_BYTES) else {
                return Err(PatternError::TooLarge);
            };
            let _ = automaton.set(Some(built));
        }
        let mut names = Vec::new();
        group_names(&hir, &mut names);
        let mut literals = Literals::default();
        literals.collect(&hir);
        let anchored = literals.anchored;
        let (prefix, inner) = literals.finish();
        Ok(Self {
            source: source.into(),
            anchored,
            prefix: prefix.into(),
            inner: inner.map(Into::into),
            names: names.into(),
            groups: hir.properties().explicit_captures_len(),
            automaton,
        })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// Literal that every match starts with, at the start of the text; empty when not known.
    pub(crate) fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// Literal that every matching text contains after the prefix.
    pub(crate) fn inner(&self) -> Option<&[u8]> {
        self.inner.as_deref()
    }

    pub(crate) fn has_groups(&self) -> bool {
        self.groups > 0
    }

    fn automaton(&self) -> Option<&meta::Regex> {
        self.automaton
            .get_or_init(|| {
                let hir = syntax::parse_with(&self.source, &syntax_config()).ok()?;
                // Accepted by the bound: room to spare, so that an accepted pattern never fails here.
                build(&hir, 4 * MAX_COMPILED_PATTERN_BYTES)
            })
            .as_ref()
    }

    /// Length of the leftmost match.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let automaton = self.automaton()?;
        if self.anchored {
            return automaton.search_half(&Input::new(text)).map(|half| half.offset());
        }
        automaton.search(&Input::new(text)).map(|found| found.len())
    }

    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        self.automaton()
            .is_some_and(|automaton| automaton.is_match(Input::new(text).earliest(true)))
    }

    /// Groups of the leftmost match; `None` when the pattern has no group besides the whole match.
    pub(crate) fn captures(&self, text: &[u8]) -> Option<Box<MatchCaptures>> {
        if !self.has_groups() {
            return None;
        }
        let automaton = self.automaton()?;
        let mut found: Captures = automaton.create_captures();
        automaton.captures(text, &mut found);
        if !found.is_match() {
            return None;
        }
        let groups = found
            .iter()
            .map(|span| {
                let bytes = text.get(span?.range())?;
                Some(String::from_utf8_lossy(bytes).into_owned())
            })
            .collect();
        let names = self
            .names
            .iter()
            .map(|(name, group)| (name.to_string(), *group))
            .collect();
        Some(Box::new(MatchCaptures { groups, names }))
    }
}

fn syntax_config() -> syntax::Config {
    // Paths are bytes: a pattern may match text that is not UTF-8.
    syntax::Config::new().utf8(false).nest_limit(128)
}

fn build(hir: &Hir, limit: usize) -> Option<meta::Regex> {
    let config = meta::Config::new()
        .utf8_empty(false)
        .nfa_size_limit(Some(limit))
        .hybrid_cache_capacity(LAZY_STATE_BYTES)
        .onepass_size_limit(Some(64 * 1024));
    meta::Builder::new().configure(config).build_from_hir(hir).ok()
}

fn last_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let line = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    line.trim().trim_start_matches("error: ").to_owned()
}

fn group_names(hir: &Hir, names: &mut Vec<(Box<str>, usize)>) {
    match hir.kind() {
        HirKind::Capture(capture) => {
            if let Some(name) = &capture.name {
                names.push((name.clone(), capture.index as usize));
            }
            group_names(&capture.sub, names);
        }
        HirKind::Repetition(repetition) => group_names(&repetition.sub, names),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            for part in parts {
                group_names(part, names);
            }
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}

/// Upper bound of the automaton's size in bytes, cheap to compute.
fn size_bound(hir: &Hir) -> usize {
    const STATE: usize = 64;
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => STATE,
        HirKind::Literal(literal) => literal.0.len().saturating_mul(STATE),
        HirKind::Class(Class::Bytes(class)) => STATE + class.ranges().len() * 16,
        // A range of scalar values becomes a few UTF-8 sequences of up to four bytes; a wide one becomes more.
        HirKind::Class(Class::Unicode(class)) => 4_096 + class.ranges().len() * 4 * STATE,
        HirKind::Repetition(repetition) => {
            let copies = repetition
                .max
                .unwrap_or_else(|| repetition.min.saturating_add(1))
                .max(1) as usize;
            size_bound(&repetition.sub)
                .saturating_add(STATE)
                .saturating_mul(copies)
        }
        HirKind::Capture(capture) => size_bound(&capture.sub).saturating_add(2 * STATE),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().fold(STATE, |sum, part| {
            sum.saturating_add(size_bound(part)).saturating_add(8)
        }),
    }
}

/// Literal runs that stand in every match, in order.
#[derive(Default)]
struct Literals {
    anchored: bool,
    prefix: Vec<u8>,
    /// Still contiguous with the start of the text.
    in_prefix: bool,
    run: Vec<u8>,
    longest: Vec<u8>,
    started: bool,
}

impl Literals {
    fn collect(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Literal(literal) => self.literal(&literal.0),
            HirKind::Look(Look::Start) => {
                if !self.started {
                    self.anchored = true;
                    self.in_prefix = true;
                }
            }
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Capture(capture) => self.collect(&capture.sub),
            HirKind::Concat(parts) => {
                for part in parts {
                    self.collect(part);
                }
            }
            HirKind::Repetition(repetition) if repetition.min >= 1 => {
                self.collect(&repetition.sub);
                self.interrupt();
            }
            HirKind::Alternation(_) | HirKind::Class(_) | HirKind::Repetition(_) => self.interrupt(),
        }
    }

    fn literal(&mut self, bytes: &[u8]) {
        self.started = true;
        if self.in_prefix {
            self.prefix.extend_from_slice(bytes);
        } else {
            self.run.extend_from_slice(bytes);
        }
    }

    fn interrupt(&mut self) {
        self.started = true;
        self.in_prefix = false;
        if self.run.len() > self.longest.len() {
            std::mem::swap(&mut self.run, &mut self.longest);
        }
        self.run.clear();
    }

    fn finish(mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        self.interrupt();
        let inner = (self.longest.len() >= MIN_INNER_LITERAL).then_some(self.longest);
        (self.prefix, inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, PatternError};

    #[test]
    fn literals_are_those_that_every_match_has() {
        let cases: [(&str, &str, Option<&str>); 14] = [
            (r"^/api/v\d+/users/\d+$", "/api/v", Some("/users/")),
            ("^/a", "/a", None),
            ("/plain", "", Some("/plain")),
            ("^/a|/b", "", None),
            ("^(?:/a|/b)/longer", "", Some("/longer")),
            ("^/(users)/(?<id>[^/]+)/posts", "/users/", Some("/posts")),
            ("^(?i)/Api/[0-9]", "/", None),
            ("^/(ab)+cdef", "/ab", Some("cdef")),
            ("^/a?bcd", "/", Some("bcd")),
            ("^/x(?:yz)?/tail", "/x", Some("/tail")),
            (r"^\b/word", "/word", None),
            ("(?m)^/line", "", Some("/line")),
            ("a^/never", "", Some("a/never")),
            ("^/a{3}b/ccc", "/a", Some("b/ccc")),
        ];
        for (source, prefix, inner) in cases {
            let pattern = Pattern::parse(source).unwrap();
            assert_eq!(
                String::from_utf8_lossy(pattern.prefix()),
                prefix,
                "prefix of {source}"
            );
            let own = pattern.inner().map(String::from_utf8_lossy);
            assert_eq!(own.as_deref(), inner, "inner literal of {source}");
        }
    }

    #[test]
    fn repetitions_that_explode_are_refused_and_large_classes_are_not() {
        assert!(matches!(
            Pattern::parse(r"^/\w{1000}{1000}"),
            Err(PatternError::Syntax(_) | PatternError::TooLarge)
        ));
        assert_eq!(
            Pattern::parse(r"^/(a{300}){300}x{200}y").err(),
            Some(PatternError::TooLarge)
        );
        assert!(Pattern::parse(r"^/[\w-]{1,36}/\d{4}$").is_ok());
    }

    #[test]
    fn a_match_counts_only_its_own_bytes() {
        let anchored = Pattern::parse("^/a+").unwrap();
        assert_eq!(anchored.find(b"/aaab"), Some(4));
        assert_eq!(anchored.find(b"b/aa"), None);
        let open = Pattern::parse("^/a|/bb").unwrap();
        assert_eq!(open.find(b"/x/bb/y"), Some(3));
        assert_eq!(open.find("/x/\u{e9}".as_bytes()), None);
    }

    #[test]
    fn a_fault_is_told_in_one_line() {
        let fault = Pattern::parse("^/(").unwrap_err().to_string();
        assert_eq!(fault, "unclosed group");
    }
}
